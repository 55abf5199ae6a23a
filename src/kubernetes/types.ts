import type { V1ObjectMeta } from '@kubernetes/client-node'

/** Any Kubernetes object, as parsed from JSON: times are strings. */
export interface KubernetesObject {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata: ObjectMeta
}

/** Object metadata as parsed from JSON; client-node's type has `Date` and classes instead. */
export type ObjectMeta = Omit<
  V1ObjectMeta,
  'creationTimestamp' | 'deletionTimestamp' | 'managedFields' | 'ownerReferences'
> & {
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly managedFields?: readonly ManagedFieldsEntry[]
  readonly ownerReferences?: readonly OwnerReference[]
}

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

export interface ManagedFieldsEntry {
  readonly manager?: string
  readonly operation?: 'Apply' | 'Update'
  /** RFC 3339, whole seconds. */
  readonly time?: string
  readonly subresource?: string
  readonly fieldsV1?: Record<string, unknown>
}

/** A kind that the API server serves, by the parts of its URLs. */
export interface ResourceType {
  /** Empty for the core group. */
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly plural: string
}

export interface ObjectRef {
  readonly namespace: string
  readonly name: string
}

/** `namespace/name`, the key of an object in stores and queues. */
export type ObjectKey = `${string}/${string}`

/** The key of an object; the one that it has, else a new string. */
export function keyOf({ key, name, namespace }: ObjectRef & { readonly key?: ObjectKey }): ObjectKey {
  // A template would keep a string of two parts beside the flat one that a Map makes of it.
  return key ?? ([namespace, name].join('/') as ObjectKey)
}

export function refOf(key: ObjectKey): ObjectRef {
  const slash = key.indexOf('/')
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

export interface ObjectList<T> {
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string }
  readonly items: readonly T[]
}

export interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  readonly object: T
}

export interface CallOptions {
  /** Aborts the call. */
  readonly signal?: AbortSignal
  /** Deadline of the whole call with its answer, in ms. Default: 30,000. */
  readonly timeoutMs?: number
}

export interface ListOptions extends CallOptions {
  /** Page size. */
  readonly limit?: number
  readonly continue?: string
  readonly resourceVersion?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
  /** Asks for PartialObjectMetadata: the objects' data never leaves the API server. */
  readonly metadataOnly?: boolean
}

export interface WatchOptions {
  readonly resourceVersion: string
  /** The API server ends the watch after this many seconds. */
  readonly timeoutSeconds: number
  readonly labelSelector?: string
  readonly fieldSelector?: string
  readonly metadataOnly?: boolean
  readonly signal: AbortSignal
}

export type Patch =
  | { readonly type: 'merge'; readonly body: object }
  | { readonly type: 'apply'; readonly body: object; readonly fieldManager: string; readonly force?: boolean }

/** The calls to an API server. Each rejects with ApiError (errors.ts) only, also when the caller aborts. */
export interface KubernetesClient {
  get<T extends KubernetesObject>(type: ResourceType, ref: ObjectRef, options?: CallOptions): Promise<T>
  /** One page. `namespace` undefined: all namespaces. */
  list<T extends KubernetesObject>(
    type: ResourceType,
    namespace: string | undefined,
    options?: ListOptions,
  ): Promise<ObjectList<T>>
  /** Ends when the API server ends the watch; throws ApiError on every other end, an ERROR event included. */
  watch<T extends KubernetesObject>(
    type: ResourceType,
    namespace: string | undefined,
    options: WatchOptions,
  ): AsyncIterable<WatchEvent<T>>
  create<T extends KubernetesObject>(
    type: ResourceType,
    namespace: string,
    body: object,
    options?: CallOptions,
  ): Promise<T>
  patch<T extends KubernetesObject>(
    type: ResourceType,
    ref: ObjectRef,
    patch: Patch,
    options?: CallOptions & { readonly subresource?: 'status' },
  ): Promise<T>
  /** PUT; `metadata.resourceVersion` in the body is the precondition. */
  update<T extends KubernetesObject>(
    type: ResourceType,
    ref: ObjectRef,
    body: object,
    options?: CallOptions,
  ): Promise<T>
  delete(
    type: ResourceType,
    ref: ObjectRef,
    options?: CallOptions & { readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string } },
  ): Promise<void>
}

export const secrets: ResourceType = { group: '', version: 'v1', kind: 'Secret', plural: 'secrets' }
export const configMaps: ResourceType = { group: '', version: 'v1', kind: 'ConfigMap', plural: 'configmaps' }
export const pods: ResourceType = { group: '', version: 'v1', kind: 'Pod', plural: 'pods' }
export const events: ResourceType = { group: 'events.k8s.io', version: 'v1', kind: 'Event', plural: 'events' }
export const leases: ResourceType = { group: 'coordination.k8s.io', version: 'v1', kind: 'Lease', plural: 'leases' }
export const credentials: ResourceType = {
  group: 'enos.io',
  version: 'v1alpha1',
  kind: 'EnosAppCredential',
  plural: 'enosappcredentials',
}
