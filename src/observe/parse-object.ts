import { createHash } from 'node:crypto'
import { parseSpec, parseStatus } from '../api/v1alpha1/credential.ts'
import { annotations, apiVersion, kind, labels, managedBy, mergeFieldManager } from '../api/v1alpha1/names.ts'
import { maxRenewRequestLength } from '../api/v1alpha1/status-schema.ts'
import type { Stored } from '../kubernetes/store.ts'
import { keyOf, type KubernetesObject } from '../kubernetes/types.ts'
import { SharedStrings } from '../lib/shared-strings.ts'
import type { Credential, HandedTo, InvalidCredential, ObjectMetadata, ObjectVersion } from './observed.ts'

const maxNameLength = 253
/** The same list for all that have none. */
const noFinalizers: readonly string[] = []

/** 4,096 strings of some 60 bytes: names, uids and versions of the last objects, and all texts that many of them have. */
export const sharedStrings = new SharedStrings(4096)

/** An EnosAppCredential as the store keeps it: parsed once, when it arrives. */
export type StoredCredential = Credential | InvalidCredential

/** Parses an EnosAppCredential. */
export function parseCredential(object: KubernetesObject & { spec?: unknown; status?: unknown }): StoredCredential {
  const { metadata } = object
  const [namespace, name] = [metadata.namespace ?? '', metadata.name ?? '']
  const parsed = parseSpec(name, object.spec)
  const read = {
    key: keyOf({ namespace, name }),
    namespace,
    name,
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    generation: metadata.generation ?? 0,
    isDeleting: metadata.deletionTimestamp !== undefined,
    renewRequest: renewRequestOf(metadata.annotations?.[annotations.renewRequestedAt]),
    finalizers: metadata.finalizers ?? noFinalizers,
    status: parseStatus(object.status),
    spec: parsed.ok ? parsed.spec : undefined,
  }
  return sharedStrings.shareAll<StoredCredential>(
    parsed.ok ? { ...read, spec: parsed.spec } : { ...read, spec: undefined, problems: parsed.problems },
  )
}

/**
 * The status repeats the request once it is handled. An annotation may be longer than the status takes: its digest
 * stands for it then, or the API server would refuse that status and every later one.
 */
function renewRequestOf(value: string | undefined): string | undefined {
  if (value === undefined || value.length <= maxRenewRequestLength) return value
  return `sha256:${createHash('sha256').update(value).digest('hex')}`
}

/** Has what is parsed next share the strings of these objects, which a pass reads and writes once more. */
export function shareStringsOf(objects: readonly (ObjectVersion | undefined)[]): void {
  for (const object of objects) {
    if (object === undefined) continue
    sharedStrings.share(object.name)
    sharedStrings.share(object.uid)
    sharedStrings.share(object.resourceVersion)
  }
}

/** The parts of a credential that show that it exists. */
export function parseIdentity({ metadata }: KubernetesObject): Stored {
  const { name = '', namespace = '', resourceVersion = '', uid = '' } = metadata
  return sharedStrings.shareAll({ namespace, name, uid, resourceVersion })
}

/** The parts of a Secret or ConfigMap that the store keeps: no data, and only our own annotations. */
export function parseMetadata({ metadata }: KubernetesObject): ObjectMetadata {
  const controller = metadata.ownerReferences?.find((owner) => owner.controller === true)
  const name = metadata.annotations?.[annotations.retainedCredential]
  const uid = metadata.annotations?.[annotations.retainedCredentialUid]
  return sharedStrings.shareAll({
    namespace: metadata.namespace ?? '',
    name: metadata.name ?? '',
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    controllerUid: controller?.uid,
    isControlledByCredential: controller?.kind === kind && controller.apiVersion === apiVersion,
    retainedFor: name === undefined || uid === undefined ? undefined : { name, uid },
    ...handedTo(metadata, controller !== undefined),
    isDeleting: metadata.deletionTimestamp !== undefined,
    writtenAtWall: writtenAtWall(metadata),
  })
}

function handedTo(metadata: KubernetesObject['metadata'], hasController: boolean): { readonly handedTo?: HandedTo } {
  const isLabelled = !hasController && metadata.labels?.[labels.managedBy] === managedBy
  const byLabels = isLabelled ? nameIn(metadata.labels?.[labels.credential]) : undefined
  const byAnnotation = nameIn(metadata.annotations?.[annotations.adopt])
  return byLabels === undefined && byAnnotation === undefined ? {} : { handedTo: { byLabels, byAnnotation } }
}

/** A value that is longer than any name of an object names none. */
function nameIn(value: string | undefined): string | undefined {
  return value !== undefined && value.length <= maxNameLength ? value : undefined
}

/** The last time in managedFields with a manager of this operator. */
function writtenAtWall({ managedFields = [] }: KubernetesObject['metadata']): number | undefined {
  const times = managedFields
    .filter(({ manager = '' }) => manager === managedBy || manager.startsWith(mergeFieldManager('')))
    .map(({ time = '' }) => Date.parse(time))
    .filter((time) => !Number.isNaN(time))
  return times.length === 0 ? undefined : Math.max(...times)
}
