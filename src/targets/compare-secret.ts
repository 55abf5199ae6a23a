import type { KubernetesObject, OwnerReference } from '../kubernetes/types.ts'
import type { ControllerReference, DesiredSecret } from './desired-secret.ts'
import { ownedMetadata } from './managed-fields.ts'
import { type Secret, toBase64 } from './secret.ts'

/** What a patch has to set right beyond the desired keys. */
export interface Correction {
  /** Keys that stand on the Secret and should not. */
  readonly surplusData: readonly string[]
  readonly surplusLabels: readonly string[]
  readonly surplusAnnotations: readonly string[]
  /** All owner references as they should be, where they are not. */
  readonly owners: readonly object[] | undefined
}

/** For a Secret that is as we left it. */
export const noCorrection: Correction = {
  surplusData: [],
  surplusLabels: [],
  surplusAnnotations: [],
  owners: undefined,
}

export type Comparison =
  | { readonly kind: 'same' }
  | { readonly kind: 'differs'; readonly correction: Correction }
  /** No patch can get there. */
  | { readonly kind: 'recreate'; readonly reason: 'TypeChanged' | 'Immutable' }

/**
 * Compares a Secret as it is with what it should be. All of its data is ours, so a key that somebody added is surplus;
 * of labels and annotations only those that this field manager set are.
 */
export function compareSecret(
  existing: Secret,
  desired: DesiredSecret,
  credentialUid: string,
  fieldManager: string,
): Comparison {
  if ((existing.type ?? 'Opaque') !== desired.type) return { kind: 'recreate', reason: 'TypeChanged' }
  const { metadata } = existing
  const data = existing.data ?? {}
  const ours = ownedMetadata(existing, fieldManager)
  const owners = ownersOf(metadata.ownerReferences ?? [], credentialUid, desired.owner)
  const correction: Correction = {
    surplusData: Object.keys(data).filter((key) => !Object.hasOwn(desired.data, key)),
    surplusLabels: ours.labels.filter((key) => !Object.hasOwn(desired.labels, key)),
    surplusAnnotations: ours.annotations.filter((key) => !Object.hasOwn(desired.annotations, key)),
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

/** The owner references with ours as it should be; undefined where it is. */
function ownersOf(
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
