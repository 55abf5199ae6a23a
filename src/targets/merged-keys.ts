import type { Sensitive } from '../lib/sensitive.ts'
import { fieldsOf, namesOf } from './managed-fields.ts'
import { encodeData, nulls, type Secret, toBase64 } from './secret.ts'

/** Who we are in the API server's books (managedFields). */
export interface MergeIdentity {
  /** The field manager of this credential's keys. */
  readonly manager: string
  /** The operator's own field manager, from the time when the whole Secret was ours. */
  readonly operatorManager: string
  /** The field managers of credentials that are gone: what they left behind may be taken. */
  readonly isOrphan: (manager: string) => boolean
  /** The field managers of other credentials that are there: a key taken from one would be taken back, without end. */
  readonly isRival: (manager: string) => boolean
}

export type MergeComparison =
  | { readonly kind: 'same' }
  /** These keys are somebody else's. */
  | { readonly kind: 'conflict'; readonly keys: readonly string[] }
  /** Keys of ours that should not be there any more. */
  | { readonly kind: 'surplus'; readonly keys: readonly string[] }
  /** `isForced`: of a key to be changed, another manager is a holder: a recorded one's, an orphan, a second applier. */
  | { readonly kind: 'differs'; readonly isForced: boolean }

/** Compares our keys in somebody else's Secret with what they should be. Whoever holds a key keeps it. */
export function compareMerged(
  existing: Secret,
  desired: Readonly<Record<string, Sensitive>>,
  recordedKeys: readonly string[],
  identity: MergeIdentity,
): MergeComparison {
  const data = existing.data ?? {}
  const managers = managersByKey(existing)
  const isOurs = (key: string): boolean => managers.get(key)?.includes(identity.manager) === true
  const isTakeable = (key: string): boolean => {
    const holders = managers.get(key) ?? []
    if (holders.some((holder) => identity.isRival(holder))) return false
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
  // Without force the API server refuses to change what another manager holds as well.
  const hasOtherHolder = (key: string): boolean =>
    managers.get(key)?.some((holder) => holder !== identity.manager) === true
  return { kind: 'differs', isForced: present.some((key) => hasOtherHolder(key) && !isAsDesired(key)) }
}

/**
 * The keys of a Secret that are ours: by the API server's books, and those that are recorded and date from the time
 * when the whole Secret was ours. A recorded key that somebody else has changed since is theirs.
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

/** The body of the server-side apply that sets our keys. With uid and resourceVersion it never makes a Secret. */
export function applyBody(
  { namespace, name }: { readonly namespace: string; readonly name: string },
  data: Readonly<Record<string, Sensitive>>,
  { uid, resourceVersion }: { readonly uid: string; readonly resourceVersion: string },
): object {
  const metadata = { namespace, name, uid, resourceVersion }
  return { apiVersion: 'v1', kind: 'Secret', metadata, data: encodeData(data) }
}

/** The body of the merge patch that takes keys away; by name, since some may have a second manager. */
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
