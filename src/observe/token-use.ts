import type { Problem } from '../api/v1alpha1/problem.ts'
import { joinNames } from '../lib/join-names.ts'
import type { Observed } from './observed.ts'

/** Names of the targets of which no template uses the token. */
export function targetsWithoutToken({ credential, templates }: Pick<Observed, 'credential' | 'templates'>): string[] {
  return credential.spec.targets
    .map(({ name }) => name)
    .filter((name) => templates.get(name)?.keysWithToken.length === 0)
}

/**
 * No target holds the token, so the resource is of no use: a template was forgotten or misspelt. Beside a target that
 * holds it, one with other values only is legitimate.
 */
export function unusedTokenProblem(observed: Observed): Problem | undefined {
  const without = targetsWithoutToken(observed)
  if (without.length < observed.credential.spec.targets.length) return undefined
  const message = `spec.targets: no target holds the token: no template of ${secretsNamed(without)} uses accessToken; use {{ accessToken }} in one, or leave data out`
  return { class: 'userMustAct', reason: 'TokenNotUsed', message }
}

/** `Secret a` or `Secrets a, b`. */
export function secretsNamed(names: readonly string[]): string {
  return `Secret${names.length === 1 ? '' : 's'} ${joinNames(names)}`
}
