/** In the place of the key of an entry that does not exist. */
const none = Symbol('none')

/**
 * A map that mostly has one entry or none. Without entries a Map takes 250 bytes, and each credential has several; here
 * one entry is two fields, and the second one makes a Map.
 */
export class SmallMap<K, V> {
  #key: K | typeof none = none
  #value: V | undefined
  /** From the second entry on; then the fields above hold none. */
  #more: Map<K, V> | undefined

  get size(): number {
    return this.#more?.size ?? (this.#key === none ? 0 : 1)
  }

  get(key: K): V | undefined {
    if (this.#more !== undefined) return this.#more.get(key)
    return this.#key === key ? this.#value : undefined
  }

  has(key: K): boolean {
    return this.#more?.has(key) ?? this.#key === key
  }

  set(key: K, value: V): this {
    if (this.#more === undefined && this.size === 1 && this.#key !== key) this.#more = new Map(this)
    if (this.#more === undefined) {
      this.#key = key
      this.#value = value
    } else {
      this.#more.set(key, value)
      this.#empty()
    }
    return this
  }

  delete(key: K): boolean {
    if (this.#more === undefined) {
      const isHeld = this.#key === key
      if (isHeld) this.#empty()
      return isHeld
    }
    const wasHeld = this.#more.delete(key)
    if (this.#more.size === 0) this.#more = undefined
    return wasHeld
  }

  clear(): void {
    this.#more = undefined
    this.#empty()
  }

  entries(): MapIterator<[K, V]> {
    if (this.#more !== undefined) return this.#more.entries()
    const entries: [K, V][] = this.#key === none ? [] : [[this.#key, this.#value as V]]
    return entries.values()
  }

  keys(): MapIterator<K> {
    return this.#more?.keys() ?? Array.from(this.entries(), ([key]) => key).values()
  }

  values(): MapIterator<V> {
    return this.#more?.values() ?? Array.from(this.entries(), ([, value]) => value).values()
  }

  forEach(callback: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, value] of this) callback(value, key, this)
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries()
  }

  #empty(): void {
    this.#key = none
    this.#value = undefined
  }
}
