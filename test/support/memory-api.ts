import { ApiError } from '../../src/kubernetes/errors.ts'
import {
  keyOf,
  type KubernetesClient,
  type KubernetesObject,
  type ObjectList,
  type ObjectMeta,
  type ObjectRef,
  type Patch,
  type ResourceType,
} from '../../src/kubernetes/types.ts'
import { type Clock, sleep } from '../../src/lib/clock.ts'
import { formatTime } from '../../src/lib/time.ts'
import { entryOf, keysOf, metadataKeysOf, without } from './managed-fields.ts'

type Json = Record<string, unknown>

export interface StoredObject extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>
  readonly spec?: unknown
  readonly status?: unknown
}

/** Upper bound of the calls of one test; more are an endless loop. */
export const callLimit = 20_000

/** A call to the API server, answered or refused. */
export interface ApiCall {
  readonly verb: 'get' | 'list' | 'create' | 'patch' | 'delete'
  readonly plural: string
  readonly name: string
}

export interface MemoryUser {
  create(type: ResourceType, namespace: string, body: object): StoredObject
  /** Merge patch. */
  patch(type: ResourceType, ref: ObjectRef, body: object): StoredObject
  delete(type: ResourceType, ref: ObjectRef): void
}

/**
 * The part of an API server that the operator depends on: versions and preconditions, merge patches, server-side
 * apply of a Secret's data with field managers and conflicts, finalizers, garbage collection by owner. The integration
 * tests cover the same rules on a real API server.
 */
export class MemoryApi implements Pick<KubernetesClient, 'get' | 'list' | 'create' | 'patch' | 'delete'> {
  readonly calls: ApiCall[] = []
  /** The error that refuses a call; undefined to answer it. */
  refuse: (call: ApiCall) => ApiError | undefined = () => undefined
  /** How long half a call takes, ms: the request, and then its answer. */
  latencyMs: () => number = () => 0
  readonly #clock: Clock
  readonly #fieldManager: string
  readonly #objects = new Map<string, StoredObject>()
  readonly #listeners = new Set<(type: ResourceType, object: StoredObject, isGone: boolean) => void>()
  #version = 0

  constructor(clock: Clock, fieldManager: string) {
    this.#clock = clock
    this.#fieldManager = fieldManager
  }

  /** Watches without delay. @returns a function that ends the watch */
  listen(listener: (type: ResourceType, object: StoredObject, isGone: boolean) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** All stored objects, without a call. */
  all(type: ResourceType): StoredObject[] {
    return [...this.#objects].flatMap(([key, object]) => (key.startsWith(`${type.plural} `) ? [object] : []))
  }

  find(type: ResourceType, ref: ObjectRef): StoredObject | undefined {
    return this.#objects.get(idOf(type, ref))
  }

  /** Another client, such as kubectl; `calls` does not have its calls. */
  user(fieldManager: string): MemoryUser {
    return {
      create: (type, namespace, body) => this.#create(type, namespace, body, fieldManager),
      patch: (type, ref, body) => this.#patch(type, ref, { type: 'merge', body }, {}, fieldManager),
      delete: (type, ref) => {
        this.#delete(type, ref, {})
      },
    }
  }

  get<T extends KubernetesObject>(type: ResourceType, ref: ObjectRef): Promise<T> {
    return this.#answer('get', type, ref.name, () => this.#existing(type, ref) as unknown as T)
  }

  list<T extends KubernetesObject>(type: ResourceType, namespace: string | undefined): Promise<ObjectList<T>> {
    return this.#answer('list', type, '', () => ({
      metadata: { resourceVersion: String(this.#version) },
      items: this.all(type).filter(
        ({ metadata }) => namespace === undefined || metadata.namespace === namespace,
      ) as unknown as T[],
    }))
  }

  create<T extends KubernetesObject>(type: ResourceType, namespace: string, body: object): Promise<T> {
    const { metadata } = body as StoredObject
    return this.#answer('create', type, metadata.name ?? '', () => {
      return this.#create(type, namespace, body, this.#fieldManager) as unknown as T
    })
  }

  patch<T extends KubernetesObject>(
    type: ResourceType,
    ref: ObjectRef,
    patch: Patch,
    options: { readonly subresource?: 'status' } = {},
  ): Promise<T> {
    return this.#answer('patch', type, ref.name, () => {
      return this.#patch(type, ref, patch, options, this.#fieldManager) as unknown as T
    })
  }

  delete(
    type: ResourceType,
    ref: ObjectRef,
    options: { readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string } } = {},
  ): Promise<void> {
    return this.#answer('delete', type, ref.name, () => {
      this.#delete(type, ref, options.preconditions ?? {})
    })
  }

  async #answer<T>(verb: ApiCall['verb'], { plural }: ResourceType, name: string, answer: () => T): Promise<T> {
    await this.#transfer()
    const call = { verb, plural, name }
    this.calls.push(call)
    if (this.calls.length > callLimit) throw new Error(`more than ${callLimit} calls: an endless loop`)
    const refusal = this.refuse(call)
    if (refusal !== undefined) throw refusal
    const answered = answer()
    await this.#transfer()
    return answered
  }

  async #transfer(): Promise<void> {
    const ms = this.latencyMs()
    if (ms > 0) await sleep(this.#clock, ms)
  }

  #create(type: ResourceType, namespace: string, body: object, manager: string): StoredObject {
    const given = body as StoredObject
    const ref = { namespace, name: given.metadata.name ?? '' }
    if (this.find(type, ref) !== undefined) {
      throw new ApiError(`create ${keyOf(ref)}`, { code: 409, reason: 'AlreadyExists' })
    }
    const { stringData, ...rest } = given as StoredObject & { stringData?: Record<string, string> }
    const data = { ...rest.data, ...encode(stringData ?? {}) }
    const uid = `uid-${++this.#version}`
    const created = { ...rest, data, metadata: { ...rest.metadata, namespace, uid, generation: 1 } }
    return this.#store(type, { ...created, metadata: this.#managed(undefined, created, manager, 'Update') })
  }

  #patch(
    type: ResourceType,
    ref: ObjectRef,
    patch: Patch,
    { subresource }: { readonly subresource?: 'status' },
    manager: string,
  ): StoredObject {
    const present = this.#existing(type, ref)
    const body = patch.body as StoredObject
    this.#check(ref, present, body.metadata)
    if (patch.type === 'apply') return this.#apply(type, ref, present, body, patch)
    const { metadata: given, status, ...rest } = body as Partial<StoredObject>
    const metadata = { ...given }
    delete metadata.uid
    delete metadata.resourceVersion
    const changes =
      subresource === 'status' ? { status } : { ...rest, ...(Object.keys(metadata).length === 0 ? {} : { metadata }) }
    const merged = merge(present, changes) as StoredObject
    if (JSON.stringify(merged) === JSON.stringify(present)) return present
    const isNewSpec = JSON.stringify(merged.spec) !== JSON.stringify(present.spec)
    const generation = (present.metadata.generation ?? 0) + (isNewSpec ? 1 : 0)
    const next = { ...merged, metadata: { ...merged.metadata, generation } }
    return this.#store(type, { ...next, metadata: this.#managed(present, next, manager, 'Update') })
  }

  #apply(
    type: ResourceType,
    ref: ObjectRef,
    present: StoredObject,
    { data: applied = {} }: StoredObject,
    { fieldManager, force = false }: Extract<Patch, { type: 'apply' }>,
  ): StoredObject {
    const { data = {}, metadata } = present
    const holders = (key: string): string[] =>
      (metadata.managedFields ?? [])
        .filter(({ fieldsV1, manager }) => manager !== fieldManager && keysOf(fieldsV1).includes(key))
        .map(({ manager = '' }) => manager)
    const conflicts = Object.entries(applied).filter(([key, value]) => holders(key).length > 0 && data[key] !== value)
    if (conflicts.length > 0 && !force) throw new ApiError(`patch ${keyOf(ref)}`, { code: 409, reason: 'Conflict' })
    const own = (metadata.managedFields ?? []).find((entry) => entry.manager === fieldManager)
    const dropped = keysOf(own?.fieldsV1).filter((key) => !Object.hasOwn(applied, key) && holders(key).length === 0)
    const kept = Object.fromEntries(Object.entries(data).filter(([key]) => !dropped.includes(key)))
    const others = (metadata.managedFields ?? [])
      .filter((entry) => entry.manager !== fieldManager)
      .map((entry) => without(entry, force ? Object.keys(applied) : []))
    const ours = entryOf(fieldManager, 'Apply', Object.keys(applied), this.#clock)
    return this.#store(type, {
      ...present,
      data: { ...kept, ...applied },
      metadata: { ...metadata, managedFields: [...others, ours] },
    })
  }

  #delete(type: ResourceType, ref: ObjectRef, preconditions: { uid?: string; resourceVersion?: string }): void {
    const present = this.#existing(type, ref)
    this.#check(ref, present, preconditions)
    if ((present.metadata.finalizers ?? []).length > 0) {
      const deletionTimestamp = present.metadata.deletionTimestamp ?? formatTime(this.#clock.wall())
      this.#store(type, { ...present, metadata: { ...present.metadata, deletionTimestamp } })
      return
    }
    this.#remove(type, ref, present)
  }

  #remove(type: ResourceType, ref: ObjectRef, object: StoredObject): void {
    this.#objects.delete(idOf(type, ref))
    const metadata = { ...object.metadata, resourceVersion: String(++this.#version) }
    for (const listener of this.#listeners) listener(type, { ...object, metadata }, true)
    // Garbage collection.
    for (const [id, dependent] of [...this.#objects]) {
      const owners = dependent.metadata.ownerReferences ?? []
      if (!owners.some(({ uid }) => uid === object.metadata.uid)) continue
      const [plural = ''] = id.split(' ')
      const { namespace = '', name = '' } = dependent.metadata
      this.#remove({ ...type, plural }, { namespace, name }, dependent)
    }
  }

  #store(type: ResourceType, object: StoredObject): StoredObject {
    const { namespace = '', name = '', deletionTimestamp, finalizers = [] } = object.metadata
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#version) } }
    if (deletionTimestamp !== undefined && finalizers.length === 0) {
      this.#remove(type, { namespace, name }, stored)
      return stored
    }
    this.#objects.set(idOf(type, { namespace, name }), stored)
    for (const listener of this.#listeners) listener(type, stored, false)
    return stored
  }

  #existing(type: ResourceType, ref: ObjectRef): StoredObject {
    const object = this.find(type, ref)
    if (object === undefined) throw new ApiError(`${type.plural} ${keyOf(ref)}`, { code: 404, reason: 'NotFound' })
    return object
  }

  #check(ref: ObjectRef, present: StoredObject, wanted: { uid?: string; resourceVersion?: string } | undefined): void {
    const { uid, resourceVersion } = present.metadata
    const isOther = wanted?.uid !== undefined && wanted.uid !== uid
    const isStale = wanted?.resourceVersion !== undefined && wanted.resourceVersion !== resourceVersion
    if (isOther || isStale) throw new ApiError(`patch ${keyOf(ref)}`, { code: 409, reason: 'Conflict' })
  }

  /** The metadata, with managedFields of data keys, labels and annotations. */
  #managed(
    before: StoredObject | undefined,
    after: StoredObject,
    manager: string,
    operation: 'Update' | 'Apply',
  ): ObjectMeta {
    const changed = (
      pick: (object: StoredObject | undefined) => Readonly<Record<string, string>> | undefined,
    ): string[] => {
      const [was, is] = [pick(before) ?? {}, pick(after) ?? {}]
      return Object.keys(is).filter((key) => was[key] !== is[key])
    }
    const present = (key: string): boolean => Object.hasOwn(after.data ?? {}, key)
    const keys = changed((object) => object?.data)
    const entries = (before?.metadata.managedFields ?? []).map((entry) =>
      without(entry, [...keysOf(entry.fieldsV1).filter((key) => !present(key)), ...keys]),
    )
    const own = entries.find((entry) => entry.manager === manager && entry.operation === operation)
    const entry = entryOf(manager, operation, [...keysOf(own?.fieldsV1), ...keys], this.#clock, {
      labels: [...metadataKeysOf(own?.fieldsV1, 'f:labels'), ...changed((object) => object?.metadata.labels)],
      annotations: [
        ...metadataKeysOf(own?.fieldsV1, 'f:annotations'),
        ...changed((object) => object?.metadata.annotations),
      ],
    })
    return { ...after.metadata, managedFields: [...entries.filter((one) => one !== own), entry] }
  }
}

function idOf({ plural }: ResourceType, ref: ObjectRef): string {
  return `${plural} ${keyOf(ref)}`
}

function encode(texts: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')]))
}

/** JSON merge patch, RFC 7386. */
function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const merged: Json = typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) Reflect.deleteProperty(merged, key)
    else merged[key] = merge(merged[key], value)
  }
  return merged
}
