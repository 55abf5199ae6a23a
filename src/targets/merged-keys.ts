import { annotations } from '../api/v1alpha1/names.ts'
import type { Sensitive } from '../lib/sensitive.ts'
import { fieldsOf, namesOf } from './managed-fields.ts'
import { encodeData, nulls, type Secret, toBase64 } from './secret.ts'

/** The field managers (managedFields) that decide whose a key is. */
export interface MergeIdentity {
  /** The annotation enos.io/adopt with this name hands keys over. */
  readonly credentialName: string
  /** The field manager of this credential's keys. */
  readonly manager: string
  /** The operator's own field manager: of keys from the time when the operator owned the whole Secret. */
  readonly operatorManager: string
  /** Field managers of deleted credentials: the keys that they left behind may be taken. */
  readonly isOrphan: (manager: string) => boolean
  /** Field managers of other existing credentials: they would take a key back, without end. */
  readonly isRival: (manager: string) => boolean
}

export type MergeComparison =
  | { readonly kind: 'same' }
  /** These keys belong to another field manager. */
  | { readonly kind: 'conflict'; readonly keys: readonly string[] }
  /** Our keys that the spec no longer has. */
  | { readonly kind: 'surplus'; readonly keys: readonly string[] }
  /** `isForced`: another field manager holds a key that has to change (a recorded key, an orphaned one, one applied twice). */
  | { readonly kind: 'differs'; readonly isForced: boolean }

/** Compares our keys in a Secret of another owner with the desired ones. The present holder of a key keeps it. */
export function compareMerged(
  existing: Secret,
  desired: Readonly<Record<string, Sensitive>>,
  recordedKeys: readonly string[],
  identity: MergeIdentity,
): MergeComparison {
  const data = existing.data ?? {}
  const managers = managersByKey(existing)
  const isOurs = (key: string): boolean => managers.get(key)?.includes(identity.manager) === true
  const isHandedOver = existing.metadata.annotations?.[annotations.adopt] === identity.credentialName
  const isTakeable = (key: string): boolean => {
    const holders = managers.get(key) ?? []
    if (holders.some((holder) => identity.isRival(holder))) return false
    if (isHandedOver) return true
    return recordedKeys.includes(key) || (holders.length > 0 && holders.every((holder) => identity.isOrphan(holder)))
  }
  const present = Object.keys(desired).filter((key) => Object.hasOwn(data, key))
  const foreign = present.filter((key) => !isOurs(key))
  const conflicts = foreign.filter((key) => !isTakeable(key))
  if (conflicts.length > 0) return { kind: 'conflict', keys: conflicts }
  const surplus = mergedKeys(existing, recordedKeys, identity).filter((key) => !Object.hasOwn(desired, key))
  if (surplus.length > 0) return { kind: 'surplus', keys: surplus }
  const isAsDesired = (key: string): boolean => desired[key] !== undefined && data[key] === toBase64(desired[key])
  if (Object.keys(desired).every((key) => isOurs(key) && isAsDesired(key))) return { kind: 'same' }
  // Without force the API server refuses to change a key that another manager holds too.
  const hasOtherHolder = (key: string): boolean =>
    managers.get(key)?.some((holder) => holder !== identity.manager) === true
  return { kind: 'differs', isForced: present.some((key) => hasOtherHolder(key) && !isAsDesired(key)) }
}

/**
 * The keys of a Secret that are ours, by managedFields: those of this credential, and recorded ones from the time when
 * the operator owned the whole Secret. A recorded key that another writer has changed since belongs to that writer.
 */
export function mergedKeys(
  existing: Secret,
  recordedKeys: readonly string[],
  { manager, operatorManager }: MergeIdentity,
): string[] {
  const managers = managersByKey(existing)
  return Object.keys(existing.data ?? {}).filter((key) => {
    const holders = managers.get(key) ?? []
    return holders.includes(manager) || (recordedKeys.includes(key) && holders.includes(operatorManager))
  })
}

/** The body of the server-side apply that sets our keys. With uid and resourceVersion it never creates a Secret. */
export function applyBody(
  { namespace, name }: { readonly namespace: string; readonly name: string },
  data: Readonly<Record<string, Sensitive>>,
  { uid, resourceVersion }: { readonly uid: string; readonly resourceVersion: string },
): object {
  const metadata = { namespace, name, uid, resourceVersion }
  return { apiVersion: 'v1', kind: 'Secret', metadata, data: encodeData(data) }
}

/** The body of the merge patch that removes keys; by name, because a key may have a second manager. */
export function releaseBody(
  keys: readonly string[],
  { uid, resourceVersion }: { readonly uid: string; readonly resourceVersion: string },
): object {
  return { metadata: { uid, resourceVersion }, data: nulls(keys) }
}

function managersByKey(secret: Secret): Map<string, string[]> {
  const managers = new Map<string, string[]>()
  for (const { manager, fieldsV1 } of secret.metadata.managedFields ?? []) {
    if (manager === undefined) continue
    for (const key of namesOf(fieldsOf(fieldsV1, 'f:data'))) managers.set(key, [...(managers.get(key) ?? []), manager])
  }
  return managers
}
