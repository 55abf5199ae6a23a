import { keyOf, type ObjectKey } from './types.ts'

/** The least that a stored object tells of itself. */
export interface Stored {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
}

/**
 * Whether one resourceVersion is newer than another of the same resource type: they are ever larger decimal numbers.
 * @see https://github.com/kubernetes/enhancements/issues/5504 (Comparable Resource Version)
 */
export function isNewer(resourceVersion: string, than: string): boolean {
  if (!/^\d+$/.test(resourceVersion) || !/^\d+$/.test(than)) return true
  return resourceVersion.length === than.length ? resourceVersion > than : resourceVersion.length > than.length
}

/**
 * Objects by `namespace/name`, as the newest of what the watch told and what our own writes answered: after a write the
 * store never shows what was before it.
 *
 * Subscribers are told keys, never what happened to them.
 */
export class Store<S extends Stored> {
  readonly #objects = new Map<ObjectKey, S>()
  readonly #subscribers: ((key: ObjectKey) => void)[] = []
  readonly #indexOf: (object: S) => readonly string[]
  readonly #index = new Map<string, Set<ObjectKey>>()

  /** @param indexOf values under which `byIndex` finds the object */
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
    return this.#index.get(value) ?? []
  }

  subscribe(subscriber: (key: ObjectKey) => void): void {
    this.#subscribers.push(subscriber)
  }

  /** Takes an object in, unless what is there is newer. */
  upsert(object: S): void {
    const key = keyOf(object)
    const present = this.#objects.get(key)
    if (present !== undefined && !isNewer(object.resourceVersion, present.resourceVersion)) return
    if (present !== undefined) this.#unindex(key, present)
    this.#objects.set(key, object)
    for (const value of this.#indexOf(object)) {
      const keys = this.#index.get(value)
      if (keys === undefined) this.#index.set(value, new Set([key]))
      else keys.add(key)
    }
    this.#emitEvent(key)
  }

  /** Takes an object out; not one that was made anew under its name since. */
  remove(object: Pick<Stored, 'namespace' | 'name'> & Partial<Pick<Stored, 'uid' | 'resourceVersion'>>): void {
    const key = keyOf(object)
    const present = this.#objects.get(key)
    if (present === undefined) return
    const isOther = object.uid !== undefined && object.uid !== present.uid
    if (isOther && object.resourceVersion !== undefined && !isNewer(object.resourceVersion, present.resourceVersion))
      return
    this.#objects.delete(key)
    this.#unindex(key, present)
    this.#emitEvent(key)
  }

  /**
   * Makes the store, or what it has of one namespace, what a complete list says; objects newer than the list stay.
   *
   * @param namespace that was listed; undefined: all of them
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

  #unindex(key: ObjectKey, object: S): void {
    for (const value of this.#indexOf(object)) {
      const keys = this.#index.get(value)
      keys?.delete(key)
      if (keys?.size === 0) this.#index.delete(value)
    }
  }

  #emitEvent(key: ObjectKey): void {
    for (const subscriber of this.#subscribers) subscriber(key)
  }
}
