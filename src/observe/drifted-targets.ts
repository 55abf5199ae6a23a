import { fingerprintOf } from '../enos/signature.ts'
import { decodeKey } from '../targets/secret.ts'
import { type Observed, type TargetSpec, tokenOnTargets } from './observed.ts'
import { isStillTarget } from './ownership.ts'

/** A target that does not hold the token as the spec asks for it. */
export interface OutOfSyncTarget {
  readonly name: string
  /** The target was in sync, and another writer changed or deleted it since. */
  readonly isDrifted: boolean
}

/**
 * Drifted targets that were not read yet. Where the token is in memory they are corrected without being reported; where
 * it is not (after a restart while the gateway is down, or while suspended), Ready depends on whether they still hold it.
 */
export function unreadDriftedTargets(observed: Observed): string[] {
  if (tokenOnTargets(observed) === undefined) return []
  return observed.credential.spec.targets
    .filter((target) => isStillTarget(observed, target.name) && !isAsWritten(observed, target))
    .map(({ name }) => name)
    .filter((name) => !observed.targetContents.has(name))
}

/** The first target that is out of sync, as far as is known; targets that were never written come first. */
export function firstOutOfSyncTarget(observed: Observed): OutOfSyncTarget | undefined {
  const { credential } = observed
  const unwritten = credential.spec.targets.find((target) => !hasAllKeys(observed, target))
  if (unwritten !== undefined) return { name: unwritten.name, isDrifted: false }
  const altered = credential.spec.targets.find(
    (target) => !isAsWritten(observed, target) && !holdsRecordedToken(observed, target),
  )
  return altered === undefined ? undefined : { name: altered.name, isDrifted: true }
}

/** Whether a target holds what was written to it, as far as is known. */
export function isInSync(observed: Observed, target: TargetSpec): boolean {
  return hasAllKeys(observed, target) && (isAsWritten(observed, target) || holdsRecordedToken(observed, target))
}

/** Whether every key of the present spec was written, with any value: a source may have changed since. */
function hasAllKeys({ record, templates }: Observed, { name }: TargetSpec): boolean {
  const recorded = record.get(name)
  if (recorded?.token === undefined) return false
  const wanted = templates.get(name)?.keys ?? []
  return wanted.every((key) => recorded.keys.includes(key))
}

/** Whether the target is the version that was written: a failed write changes nothing. */
export function isAsWritten({ record, targetMetas }: Observed, { name }: TargetSpec): boolean {
  const recorded = record.get(name)
  const meta = targetMetas.get(name)
  return recorded?.uid === meta?.uid && recorded?.resourceVersion === meta?.resourceVersion
}

/** Whether the drift left the token alone: it changed a label, or a key of another owner. */
function holdsRecordedToken({ record, targetContents, templates }: Observed, { name }: TargetSpec): boolean {
  const content = targetContents.get(name)
  const key = templates.get(name)?.tokenKey
  const token = content === undefined || key === undefined ? undefined : decodeKey(content, key)
  return token !== undefined && fingerprintOf(token) === record.get(name)?.token?.fingerprint
}
