import { CompactMap } from '../lib/compact-map.ts'
import { reuseEqual } from '../lib/reuse-equal.ts'
import { keyOf, type ObjectKey } from './types.ts'

/** The minimum of a stored object. */
export interface Stored {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
}

/**
 * Whether one resourceVersion is newer than another of the same resource type. They are decimal numbers that only grow;
 * one that is not a number counts as newer.
 *
 * @see https://github.com/kubernetes/enhancements/issues/5504 (Comparable Resource Version)
 */
export function isNewer(resourceVersion: string, than: string): boolean {
  if (!/^\d+$/.test(resourceVersion) || !/^\d+$/.test(than)) return true
  return resourceVersion.length === than.length ? resourceVersion > than : resourceVersion.length > than.length
}

/** Whether one resourceVersion is older than another; false where one of them is not a number. */
export function isOlder(resourceVersion: string, than: string): boolean {
  return [resourceVersion, than].every((version) => /^\d+$/.test(version)) && isNewer(than, resourceVersion)
}

/** How many removed objects a store remembers: far more than there are writes without an answer. */
export const maxRemovedObjects = 1000

/**
 * Objects by `namespace/name`, each in its newest version from the watch or from the answer to an own write: after a write
 * the store never shows the version before it.
 *
 * Subscribers get keys only, never event types.
 */
export class Store<S extends Stored> {
  /** Bounded by the API server: the objects of the kind in the watched namespaces. */
  readonly #objects = new Map<ObjectKey, S>()
  /**
   * The versions with which objects were removed, by uid, the last `maxRemovedObjects`. The answer to an own write may
   * come after the event of the object's deletion, and would bring it back for ever.
   */
  readonly #removedVersions = new Map<string, string>()
  /** Subscribed once each, when the operator is wired. */
  readonly #subscribers: ((key: ObjectKey) => void)[] = []
  /** As bounded as the subscribers. */
  readonly #removalSubscribers: ((last: S) => void)[] = []
  readonly #indexOf: (object: S) => readonly string[]
  /** The values of stored objects; a value without objects is removed. Most have one object, and need no Set. */
  readonly #index = new CompactMap<string, ObjectKey | Set<ObjectKey>>()

  /** @param indexOf returns the values under which `byIndex` finds the object */
  constructor(indexOf: (object: S) => readonly string[] = () => []) {
    this.#indexOf = indexOf
  }

  get size(): number {
    return this.#objects.size
  }

  get(key: ObjectKey): S | undefined {
    return this.#objects.get(key)
  }

  values(): IterableIterator<S> {
    return this.#objects.values()
  }

  keys(): IterableIterator<ObjectKey> {
    return this.#objects.keys()
  }

  byIndex(value: string): Iterable<ObjectKey> {
    const keys = this.#index.get(value) ?? []
    return typeof keys === 'string' ? [keys] : keys
  }

  subscribe(subscriber: (key: ObjectKey) => void): void {
    this.#subscribers.push(subscriber)
  }

  /** Whether `upsert` would ignore this version. */
  isUpToDate({ name = '', namespace = '', resourceVersion = '' }: Partial<Stored>): boolean {
    const present = this.#objects.get(keyOf({ namespace, name }))
    return present !== undefined && !isNewer(resourceVersion, present.resourceVersion)
  }

  /** Subscribes to the last states of objects that are removed. */
  onRemoval(subscriber: (last: S) => void): void {
    this.#removalSubscribers.push(subscriber)
  }

  /** Stores an object, unless the stored version is as new or newer, or the object was removed with a version that is. */
  upsert(object: S): void {
    const removedVersion = this.#removedVersions.get(object.uid)
    if (removedVersion !== undefined && !isNewer(object.resourceVersion, removedVersion)) return
    const key = keyOf(object)
    const present = this.#objects.get(key)
    if (present === undefined || isNewer(object.resourceVersion, present.resourceVersion)) this.#set(key, object)
  }

  /** Removes an object. An object that was created under the same name later stays. */
  remove(object: Pick<Stored, 'namespace' | 'name'> & Partial<Pick<Stored, 'uid' | 'resourceVersion'>>): void {
    this.#noteRemoval(object)
    const key = keyOf(object)
    const present = this.#objects.get(key)
    if (present === undefined) return
    const isOther = object.uid !== undefined && object.uid !== present.uid
    if (isOther && object.resourceVersion !== undefined && !isNewer(object.resourceVersion, present.resourceVersion)) {
      return
    }
    this.#objects.delete(key)
    this.#unindex(key, this.#indexOf(present))
    this.#emitEvent(key)
    for (const subscriber of this.#removalSubscribers) subscriber(present)
  }

  /**
   * Makes the store, or its part of one namespace, equal to a complete list. Objects newer than the list stay.
   *
   * @param namespace the namespace that was listed; undefined: all
   */
  replace(objects: Iterable<S>, listVersion: string, namespace?: string): void {
    const listed = new Set<ObjectKey>()
    for (const object of objects) {
      listed.add(keyOf(object))
      this.upsert(object)
    }
    for (const object of [...this.#objects.values()]) {
      if (namespace !== undefined && object.namespace !== namespace) continue
      if (!listed.has(keyOf(object)) && !isNewer(object.resourceVersion, listVersion)) this.remove(object)
    }
  }

  /**
   * Makes the store, or its part of one namespace, equal to a complete list, even where stored objects are newer: the
   * API server's state went back. Notifies of every object, since equal versions of two histories may differ.
   *
   * @param namespace the namespace that was listed; undefined: all
   */
  reset(objects: Iterable<S>, namespace?: string): void {
    const listed = new Set<ObjectKey>()
    for (const object of objects) {
      listed.add(keyOf(object))
      this.#set(keyOf(object), object)
    }
    for (const object of [...this.#objects.values()]) {
      if (namespace !== undefined && object.namespace !== namespace) continue
      if (!listed.has(keyOf(object))) this.remove(object)
    }
    // Versions of the other history tell nothing of this one.
    this.#removedVersions.clear()
  }

  #noteRemoval({ resourceVersion, uid }: Partial<Pick<Stored, 'uid' | 'resourceVersion'>>): void {
    if (uid === undefined || resourceVersion === undefined) return
    this.#removedVersions.delete(uid)
    this.#removedVersions.set(uid, resourceVersion)
    if (this.#removedVersions.size <= maxRemovedObjects) return
    const [oldest = ''] = this.#removedVersions.keys()
    this.#removedVersions.delete(oldest)
  }

  #set(key: ObjectKey, object: S): void {
    const present = this.#objects.get(key)
    // Most of an object stays as it was: the former parts are already in the old generation.
    const kept = reuseEqual(present, object)
    this.#objects.set(key, kept)
    const before = present === undefined ? [] : this.#indexOf(present)
    const after = this.#indexOf(kept)
    this.#unindex(
      key,
      before.filter((value) => !after.includes(value)),
    )
    for (const value of after) {
      if (before.includes(value)) continue
      const keys = this.#index.get(value)
      if (keys === undefined) this.#index.set(value, key)
      else if (typeof keys !== 'string') keys.add(key)
      else if (keys !== key) this.#index.set(value, new Set([keys, key]))
    }
    this.#emitEvent(key)
  }

  #unindex(key: ObjectKey, values: readonly string[]): void {
    for (const value of values) {
      const keys = this.#index.get(value)
      if (typeof keys === 'object') keys.delete(key)
      if (keys === key || (typeof keys === 'object' && keys.size === 0)) this.#index.delete(value)
    }
  }

  #emitEvent(key: ObjectKey): void {
    for (const subscriber of this.#subscribers) subscriber(key)
  }
}
