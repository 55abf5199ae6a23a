import type { KubernetesObject, OwnerReference } from '../kubernetes/types.ts'
import { Sensitive } from '../lib/sensitive.ts'

/** A Secret as the API server sends it. */
export interface Secret extends KubernetesObject {
  readonly type?: string
  readonly immutable?: boolean
  /** Base64. */
  readonly data?: Readonly<Record<string, string>>
}

export interface ControllerReference extends OwnerReference {
  readonly controller: true
  /** The credential's deletion never waits for its Secrets'. */
  readonly blockOwnerDeletion: false
}

/** The Secret that a target with creationPolicy Owner should be. */
export interface DesiredSecret {
  readonly namespace: string
  readonly name: string
  readonly type: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  /** Undefined for a Secret that is to outlive its credential. */
  readonly owner: ControllerReference | undefined
  readonly data: Readonly<Record<string, Sensitive>>
}

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
  | { readonly kind: 'recreate' }

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
  if ((existing.type ?? 'Opaque') !== desired.type) return { kind: 'recreate' }
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
  if (existing.immutable === true) return { kind: 'recreate' }
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

/** The body of the POST that creates a target. */
export function createBody(desired: DesiredSecret): object {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      namespace: desired.namespace,
      name: desired.name,
      labels: desired.labels,
      annotations: desired.annotations,
      ...(desired.owner === undefined ? {} : { ownerReferences: [desired.owner] }),
    },
    type: desired.type,
    data: encodeData(desired.data),
  }
}

/**
 * The body of the merge patch that makes a target what it should be. With uid and resourceVersion it applies to the
 * very Secret that was looked at, or not at all.
 */
export function patchBody(
  desired: DesiredSecret,
  correction: Correction,
  precondition: { readonly uid: string; readonly resourceVersion: string },
): object {
  return {
    metadata: {
      uid: precondition.uid,
      resourceVersion: precondition.resourceVersion,
      labels: { ...desired.labels, ...nulls(correction.surplusLabels) },
      annotations: { ...desired.annotations, ...nulls(correction.surplusAnnotations) },
      ...(correction.owners === undefined ? {} : { ownerReferences: correction.owners }),
    },
    data: { ...encodeData(desired.data), ...nulls(correction.surplusData) },
  }
}

/**
 * The body of the merge patch that gives a Secret of ours away, so that only its keys are ours from then on
 * (creationPolicy went from Owner to Merge). The keys that stay keep their values.
 */
export function disownBody(
  existing: Secret,
  credentialUid: string,
  fieldManager: string,
  keptKeys: readonly string[],
  precondition: { readonly uid: string; readonly resourceVersion: string },
): object {
  const ours = ownedMetadata(existing, fieldManager)
  return {
    metadata: {
      uid: precondition.uid,
      resourceVersion: precondition.resourceVersion,
      labels: nulls(ours.labels),
      annotations: nulls(ours.annotations),
      ownerReferences: (existing.metadata.ownerReferences ?? []).filter((owner) => owner.uid !== credentialUid),
    },
    data: nulls(Object.keys(existing.data ?? {}).filter((key) => !keptKeys.includes(key))),
  }
}

/** The text under a key of a Secret's data; undefined where there is none, or where it is not UTF-8. */
export function decodeKey(secret: Secret, key: string): Sensitive | undefined {
  const encoded = secret.data?.[key]
  if (encoded === undefined) return undefined
  try {
    return new Sensitive(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(encoded, 'base64')))
  } catch {
    // Bytes that are no text are no value of ours, and nothing is to be said of them.
    return undefined
  }
}

export function encodeData(data: DesiredSecret['data']): Record<string, string> {
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, toBase64(value)]))
}

export function toBase64(value: Sensitive): string {
  return Buffer.from(value.reveal(), 'utf8').toString('base64')
}

export function nulls(keys: readonly string[]): Record<string, null> {
  return Object.fromEntries(keys.map((key) => [key, null]))
}

function contains(
  existing: Readonly<Record<string, string>> | undefined,
  desired: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(desired).every(([key, value]) => existing?.[key] === value)
}

/** The labels and annotations that a field manager set, by the API server's own books (managedFields). */
function ownedMetadata(secret: Secret, fieldManager: string): { labels: string[]; annotations: string[] } {
  const labels: string[] = []
  const annotations: string[] = []
  for (const entry of secret.metadata.managedFields ?? []) {
    if (entry.manager !== fieldManager) continue
    const metadata = fieldsOf(entry.fieldsV1, 'f:metadata')
    labels.push(...namesOf(fieldsOf(metadata, 'f:labels')))
    annotations.push(...namesOf(fieldsOf(metadata, 'f:annotations')))
  }
  return { labels, annotations }
}

export function fieldsOf(fields: unknown, name: string): unknown {
  return typeof fields === 'object' && fields !== null ? (fields as Record<string, unknown>)[name] : undefined
}

export function namesOf(fields: unknown): string[] {
  if (typeof fields !== 'object' || fields === null) return []
  return Object.keys(fields).flatMap((name) => (name.startsWith('f:') ? [name.slice(2)] : []))
}
