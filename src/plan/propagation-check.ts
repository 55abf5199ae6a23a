import { propagationOccasion } from '../observe/propagation.ts'
import type { Observed } from '../observe/observed.ts'
import { targetProblem } from '../observe/target-problems.ts'
import type { Verdict } from './verdict.ts'

/** Propagates the token that all targets hold which can be written. */
export function propagateToken(observed: Observed): Verdict | undefined {
  const { credential, record, targetMetas } = observed
  const problems = credential.spec.targets.map((target) => targetProblem(observed, target))
  // A target whose problem passes by itself is waited for, so that the token is propagated once.
  if (problems.some((problem) => problem?.class === 'retry')) return undefined
  const reached = credential.spec.targets.filter((_, at) => problems[at] === undefined)
  const [token, ...others] = reached.map(({ name }) => record.get(name)?.token)
  if (token === undefined || others.some((other) => other?.fingerprint !== token.fingerprint)) return undefined
  const { fingerprint, issuedAtWall } = token
  const occasion = propagationOccasion(observed, fingerprint)
  if (occasion === undefined) return undefined
  const writes = reached.map(({ name }) => targetMetas.get(name)?.writtenAtWall ?? 0)
  // A changed spec rewrites the targets with the same token.
  const writtenAtWall = occasion === 'specChange' ? issuedAtWall : Math.max(issuedAtWall, ...writes)
  return { kind: 'do', actions: [{ do: 'propagate', fingerprint, occasion, writtenAtWall }] }
}
