import { wantsPropagation, propagatedFingerprint } from '../observe/propagation.ts'
import type { Observed } from '../observe/observed.ts'
import { targetProblem } from '../observe/target-problems.ts'
import type { Verdict } from './verdict.ts'

/** All targets that can be written hold a token that running consumers were not told of. */
export function propagateToken(observed: Observed): Verdict | undefined {
  if (!wantsPropagation(observed)) return undefined
  const { credential, propagation, record, targetMetas } = observed
  const problems = credential.spec.targets.map((target) => targetProblem(observed, target))
  // What passes by itself is waited for, so that consumers are told once.
  if (problems.some((problem) => problem?.class === 'retry')) return undefined
  const reached = credential.spec.targets.filter((_, at) => problems[at] === undefined)
  const [token, ...others] = reached.map(({ name }) => record.get(name)?.token)
  if (token === undefined || others.some((other) => other?.fingerprint !== token.fingerprint)) return undefined
  if (token.fingerprint === propagatedFingerprint(observed)) return undefined
  if (token.fingerprint === propagation?.fingerprint) return undefined
  const writtenAtWall = Math.max(
    token.issuedAtWall,
    ...reached.map(({ name }) => targetMetas.get(name)?.writtenAtWall ?? 0),
  )
  return { kind: 'do', actions: [{ do: 'propagate', fingerprint: token.fingerprint, writtenAtWall }] }
}
