import { type Observed, publishedToken } from './observed.ts'
import { targetProblem } from './target-problems.ts'
import type { Verdict } from './verdict.ts'

/** Whether somebody is to be told of new tokens. */
export function hasAudience({ credential: { spec } }: Observed): boolean {
  return spec.propagation === 'Immediate' || (spec.restartOnRenewal?.length ?? 0) > 0
}

/**
 * The token that consumers were told of last. Recorded in the status once they were, so that a crash in between loses
 * nothing, and the next process tries again what failed. The first token of a resource is no renewal: nobody holds an older one.
 */
export function propagatedFingerprint(observed: Observed): string | undefined {
  if (!hasAudience(observed)) return undefined
  const { credential, publication } = observed
  if (publication?.outcome?.status === 'True') return publication.fingerprint
  return credential.status.propagatedFingerprint ?? publishedToken(observed)?.fingerprint
}

/** All targets that can be written hold a token that running consumers were not told of. */
export function hasTokenToPublish(observed: Observed): Verdict | undefined {
  if (!hasAudience(observed)) return undefined
  const { credential, publication, record, targetMetas } = observed
  const problems = credential.spec.targets.map((target) => targetProblem(observed, target))
  // What passes by itself is waited for, so that consumers are told once.
  if (problems.some((problem) => problem?.class === 'retry')) return undefined
  const reached = credential.spec.targets.filter((_, at) => problems[at] === undefined)
  const [token, ...others] = reached.map(({ name }) => record.get(name)?.token)
  if (token === undefined || others.some((other) => other?.fingerprint !== token.fingerprint)) return undefined
  if (token.fingerprint === propagatedFingerprint(observed)) return undefined
  if (token.fingerprint === publication?.fingerprint) return undefined
  const writtenAtWall = Math.max(
    token.issuedAtWall,
    ...reached.map(({ name }) => targetMetas.get(name)?.writtenAtWall ?? 0),
  )
  return { kind: 'do', actions: [{ do: 'publish', fingerprint: token.fingerprint, writtenAtWall }] }
}
