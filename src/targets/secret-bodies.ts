import type { Correction } from './compare-secret.ts'
import type { DesiredSecret } from './desired-secret.ts'
import { ownedMetadata } from './managed-fields.ts'
import { encodeData, nulls, type Secret } from './secret.ts'

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
 * The body of the merge patch that makes a target the desired Secret. With uid and resourceVersion it applies to the
 * version that was observed, or not at all.
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

/** A change of a Secret's metadata alone. */
export interface MetadataChange {
  /** All owner references as they should be; undefined: as they are. */
  readonly owners: readonly object[] | undefined
  /** Null removes one. */
  readonly annotations: Readonly<Record<string, string | null>>
}

/** The body of the merge patch that changes metadata alone. */
export function metadataBody(
  { annotations, owners }: MetadataChange,
  { resourceVersion, uid }: { readonly uid: string; readonly resourceVersion: string },
): object {
  return {
    metadata: { uid, resourceVersion, annotations, ...(owners === undefined ? {} : { ownerReferences: owners }) },
  }
}

/**
 * The body of the merge patch that gives up ownership of a Secret and keeps some keys (creationPolicy changed from Owner
 * to Merge). Those keep their values.
 */
export function disownBody(
  existing: Secret,
  {
    credentialUid,
    fieldManager,
    keptKeys,
  }: { readonly credentialUid: string; readonly fieldManager: string; readonly keptKeys: readonly string[] },
): object {
  const { resourceVersion = '', uid = '' } = existing.metadata
  const ours = ownedMetadata(existing, fieldManager)
  return {
    metadata: {
      uid,
      resourceVersion,
      labels: nulls(ours.labels),
      annotations: nulls(ours.annotations),
      ownerReferences: (existing.metadata.ownerReferences ?? []).filter((owner) => owner.uid !== credentialUid),
    },
    data: nulls(Object.keys(existing.data ?? {}).filter((key) => !keptKeys.includes(key))),
  }
}
