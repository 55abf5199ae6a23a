/** In the place of the key of an entry that does not exist, and of two and more entries. */
const none = Symbol('none')
const several = Symbol('several')

/**
 * A map that mostly has one entry or none. Without entries a Map takes 250 bytes, and each credential has several; here
 * one entry is two fields, and the second one makes a Map.
 */
export class SmallMap<K, V> {
  // No third field and no private method: each takes 8 bytes of each map.
  #key: K | typeof none | typeof several = none
  /** The value of the entry; of several, a Map of all. */
  #value: V | Map<K, V> | undefined

  get size(): number {
    if (this.#key === several) return (this.#value as Map<K, V>).size
    return this.#key === none ? 0 : 1
  }

  get(key: K): V | undefined {
    if (this.#key === several) return (this.#value as Map<K, V>).get(key)
    return this.#key === key ? (this.#value as V) : undefined
  }

  has(key: K): boolean {
    return this.#key === several ? (this.#value as Map<K, V>).has(key) : this.#key === key
  }

  set(key: K, value: V): this {
    if (this.#key === several) {
      ;(this.#value as Map<K, V>).set(key, value)
    } else if (this.#key === none || this.#key === key) {
      this.#key = key
      this.#value = value
    } else {
      this.#value = new Map([...this, [key, value]])
      this.#key = several
    }
    return this
  }

  delete(key: K): boolean {
    const isHeld = this.has(key)
    if (this.#key !== several) {
      if (isHeld) this.clear()
      return isHeld
    }
    const map = this.#value as Map<K, V>
    map.delete(key)
    if (map.size === 0) this.clear()
    return isHeld
  }

  clear(): void {
    this.#key = none
    this.#value = undefined
  }

  entries(): MapIterator<[K, V]> {
    if (this.#key === several) return (this.#value as Map<K, V>).entries()
    const entries: [K, V][] = this.#key === none ? [] : [[this.#key, this.#value as V]]
    return entries.values()
  }

  keys(): MapIterator<K> {
    if (this.#key === several) return (this.#value as Map<K, V>).keys()
    const keys: K[] = this.#key === none ? [] : [this.#key]
    return keys.values()
  }

  values(): MapIterator<V> {
    if (this.#key === several) return (this.#value as Map<K, V>).values()
    const values: V[] = this.#key === none ? [] : [this.#value as V]
    return values.values()
  }

  forEach(callback: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, value] of this) callback(value, key, this)
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries()
  }
}
