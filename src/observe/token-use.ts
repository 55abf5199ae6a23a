import type { Observed } from './observed.ts'

/** Names of the targets of which no template uses the token. */
export function targetsWithoutToken({ credential, templates }: Pick<Observed, 'credential' | 'templates'>): string[] {
  return credential.spec.targets
    .map(({ name }) => name)
    .filter((name) => templates.get(name)?.keysWithToken.length === 0)
}
