import { fingerprintOf } from '../enos/signature.ts'
import { decodeKey } from '../targets/secret.ts'
import { type Observed, type TargetSpec, tokenOnTargets } from './observed.ts'
import { isStillTarget } from './ownership.ts'

/** A target that does not hold the token as the spec wants it. */
export interface OutOfSyncTarget {
  readonly name: string
  /** It did, and somebody changed or deleted it since. */
  readonly isDrifted: boolean
}

/**
 * Targets that somebody changed, of which nothing is known but that. Where the token is at hand they are put right
 * without more ado; where it is not (after a restart with a gateway that is down, say, or while suspended), whether they
 * still hold it decides whether the resource is Ready.
 */
export function unreadDriftedTargets(observed: Observed): string[] {
  if (tokenOnTargets(observed) === undefined) return []
  return observed.credential.spec.targets
    .filter((target) => isStillTarget(observed, target.name) && !isAsWritten(observed, target))
    .map(({ name }) => name)
    .filter((name) => !observed.targetContents.has(name))
}

/** The first target that does not hold what was written, as far as is known; before those, one that was not written yet. */
export function firstOutOfSyncTarget(observed: Observed): OutOfSyncTarget | undefined {
  const { credential } = observed
  const unwritten = credential.spec.targets.find((target) => !hasAllKeys(observed, target))
  if (unwritten !== undefined) return { name: unwritten.name, isDrifted: false }
  const altered = credential.spec.targets.find(
    (target) => !isAsWritten(observed, target) && !holdsRecordedToken(observed, target),
  )
  return altered === undefined ? undefined : { name: altered.name, isDrifted: true }
}

/** Every key of the present spec was written, with whatever value: a source may have changed since. */
function hasAllKeys({ record, templates }: Observed, { name }: TargetSpec): boolean {
  const recorded = record.get(name)
  if (recorded?.token === undefined) return false
  const wanted = templates.get(name)?.keys ?? []
  return wanted.every((key) => recorded.keys.includes(key))
}

/** The target is still what was written: a write that failed took nothing away. */
function isAsWritten({ record, targetMetas }: Observed, { name }: TargetSpec): boolean {
  const recorded = record.get(name)
  const meta = targetMetas.get(name)
  return recorded?.uid === meta?.uid && recorded?.resourceVersion === meta?.resourceVersion
}

/** Something else was changed on it: a label, somebody else's key. */
function holdsRecordedToken({ record, targetContents, templates }: Observed, { name }: TargetSpec): boolean {
  const content = targetContents.get(name)
  const key = templates.get(name)?.tokenKey
  const token = content === undefined || key === undefined ? undefined : decodeKey(content, key)
  return token !== undefined && fingerprintOf(token) === record.get(name)?.token?.fingerprint
}
