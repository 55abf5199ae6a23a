import { mergeFieldManager } from '../api/v1alpha1/names.ts'
import type { MergeIdentity } from '../targets/merged-keys.ts'
import type { ObjectMetadata, Observed } from './observed.ts'

/**
 * Whether a Secret is ours: this credential controls it, or retains it, or a deleted credential of the same name has
 * retained it.
 */
export function isOurs({ credential, isAlive }: Observed, meta: ObjectMetadata | undefined): boolean {
  if (meta === undefined) return false
  if (meta.controllerUid !== undefined) return meta.controllerUid === credential.uid
  const { retainedFor } = meta
  if (retainedFor === undefined) return false
  return retainedFor.uid === credential.uid || (retainedFor.name === credential.name && !isAlive(retainedFor.uid))
}

/**
 * Whether another credential owns the whole Secret and would remove added keys: it controls the Secret, or retains it
 * and still exists.
 */
export function isOfAnotherCredential(observed: Observed, meta: ObjectMetadata): boolean {
  if (isOurs(observed, meta)) return false
  if (meta.controllerUid !== undefined) return meta.isControlledByCredential
  return meta.retainedFor !== undefined && observed.isAlive(meta.retainedFor.uid)
}

/** Whether a target is still the Secret that was written, under any owner. */
export function isStillTarget(observed: Observed, name: string): boolean {
  const meta = observed.targetMetas.get(name)
  const recorded = observed.record.get(name)
  if (recorded === undefined || meta?.uid !== recorded.uid) return false
  return recorded.creationPolicy === 'Merge' || isOurs(observed, meta)
}

/** The field managers that decide about keys in a Secret of another owner. */
export function mergeIdentityOf({ credential, fieldManager, isAlive }: Observed): MergeIdentity {
  const prefix = mergeFieldManager('')
  const own = mergeFieldManager(credential.uid)
  const isOther = (manager: string): boolean => manager.startsWith(prefix) && manager !== own
  const isOfLiving = (manager: string): boolean => isAlive(manager.slice(prefix.length))
  return {
    credentialName: credential.name,
    manager: own,
    operatorManager: fieldManager,
    isOrphan: (manager) => isOther(manager) && !isOfLiving(manager),
    isRival: (manager) => isOther(manager) && isOfLiving(manager),
  }
}
