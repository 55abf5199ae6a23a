import { annotations, labels } from '../api/v1alpha1/names.ts'
import type { KubernetesObject, OwnerReference } from '../kubernetes/types.ts'
import type { ControllerReference, DesiredSecret } from './desired-secret.ts'
import { ownedMetadata } from './managed-fields.ts'
import { type Secret, toBase64 } from './secret.ts'

/** What a patch has to correct besides the desired keys. */
export interface Correction {
  /** Keys of the Secret that should not exist. */
  readonly surplusData: readonly string[]
  readonly surplusLabels: readonly string[]
  readonly surplusAnnotations: readonly string[]
  /** All owner references as they should be; undefined when they already are. */
  readonly owners: readonly object[] | undefined
}

/** For a Secret that has not changed since the last write. */
export const noCorrection: Correction = {
  surplusData: [],
  surplusLabels: [],
  surplusAnnotations: [],
  owners: undefined,
}

export type Comparison =
  | { readonly kind: 'same' }
  | { readonly kind: 'differs'; readonly correction: Correction }
  /** No patch can make the change. */
  | { readonly kind: 'recreate'; readonly reason: 'TypeChanged' | 'Immutable' }

/**
 * Compares a Secret with the desired one. All of its data is ours, so keys of other writers are surplus; labels and
 * annotations are surplus only where this field manager has set them.
 */
export function compareSecret(
  existing: Secret,
  desired: DesiredSecret,
  { credentialUid, fieldManager }: { readonly credentialUid: string; readonly fieldManager: string },
): Comparison {
  if ((existing.type ?? 'Opaque') !== desired.type) return { kind: 'recreate', reason: 'TypeChanged' }
  const { metadata } = existing
  const data = existing.data ?? {}
  const ours = ownedMetadata(existing, fieldManager)
  const owners = correctedOwners(metadata.ownerReferences ?? [], credentialUid, desired.owner)
  const correction: Correction = {
    surplusData: Object.keys(data).filter((key) => !Object.hasOwn(desired.data, key)),
    surplusLabels: ours.labels.filter((key) => !Object.hasOwn(desired.labels, key)),
    surplusAnnotations: [...new Set([...ours.annotations, ...handoverAnnotations(existing, desired)])].filter(
      (key) => !Object.hasOwn(desired.annotations, key),
    ),
    owners,
  }
  const isSame =
    owners === undefined &&
    correction.surplusData.length === 0 &&
    correction.surplusLabels.length === 0 &&
    correction.surplusAnnotations.length === 0 &&
    Object.entries(desired.data).every(([key, value]) => data[key] === toBase64(value)) &&
    contains(metadata.labels, desired.labels) &&
    contains(metadata.annotations, desired.annotations)
  if (existing.immutable === true) return { kind: 'recreate', reason: 'Immutable' }
  return isSame ? { kind: 'same' } : { kind: 'differs', correction }
}

/** The annotations that had the Secret adopted, whichever field manager set them. */
function handoverAnnotations({ metadata }: Secret, { labels: { [labels.credential]: name } }: DesiredSecret): string[] {
  const { adopt, retainedCredential, retainedCredentialUid } = annotations
  const present = metadata.annotations ?? {}
  const retained = [retainedCredential, retainedCredentialUid].filter((key) => Object.hasOwn(present, key))
  return name !== undefined && present[adopt] === name ? [adopt, ...retained] : retained
}

/** The owner references with ours corrected; undefined when ours is as it should be. */
export function correctedOwners(
  present: NonNullable<KubernetesObject['metadata']['ownerReferences']>,
  credentialUid: string,
  desired: ControllerReference | undefined,
): object[] | undefined {
  const ours = present.find((owner) => owner.uid === credentialUid)
  if (desired === undefined ? ours === undefined : isSameReference(ours, desired)) return undefined
  const others = present.filter((owner) => owner !== ours)
  return desired === undefined ? others : [...others, desired]
}

function isSameReference(present: OwnerReference | undefined, desired: ControllerReference): boolean {
  return (
    present?.apiVersion === desired.apiVersion &&
    present.kind === desired.kind &&
    present.name === desired.name &&
    present.controller === desired.controller &&
    (present.blockOwnerDeletion ?? false) === desired.blockOwnerDeletion
  )
}

function contains(
  existing: Readonly<Record<string, string>> | undefined,
  desired: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(desired).every(([key, value]) => existing?.[key] === value)
}
