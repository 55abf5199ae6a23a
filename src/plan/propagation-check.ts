import type { Observed } from '../observe/observed.ts'
import { propagationOccasion } from '../observe/propagation.ts'
import { targetProblem } from '../observe/target-problems.ts'
import { act, type Verdict } from './verdict.ts'

/** Propagates the token to running pods once all targets that can be written hold it. */
export function propagateToken(observed: Observed): Verdict | undefined {
  const { credential, record, targetMetas } = observed
  const problems = credential.spec.targets.map((target) => targetProblem(observed, target))
  // A write that is retried comes first, so that each token is propagated once.
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
  const reason = occasion === 'specChange' ? 'SpecChanged' : 'NewToken'
  return act({ do: 'propagate', reason, fingerprint, occasion, writtenAtWall })
}
