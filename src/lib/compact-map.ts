/** Compacting a small map gains nothing. */
const minDeleted = 16
/** Compacting a larger one holds up the event loop for longer than 50 ms. */
const maxSize = 100_000

/**
 * A Map for keys that leave and come again, in as little memory as one whose keys stay. V8 keeps the place of a deleted
 * entry until the table is full, and then doubles the table unless half of it is deleted: with 5,000 entries from 8,192
 * places to 16,384, for good. In an iteration delete only the entry at hand: after
 * another deletion, entries may come twice.
 */
export class CompactMap<K, V> extends Map<K, V> {
  /** Since the table was last built anew. */
  #deleted = 0

  override delete(key: K): boolean {
    const isHeld = super.delete(key)
    if (isHeld && ++this.#deleted > this.size / 2 + minDeleted && this.size <= maxSize) this.#compact()
    return isHeld
  }

  override clear(): void {
    super.clear()
    this.#deleted = 0
  }

  #compact(): void {
    // Two lists are filled in two thirds of the time of a copy of the map.
    const [keys, values] = [[...this.keys()], [...this.values()]]
    this.clear()
    for (const [at, key] of keys.entries()) this.set(key, values[at] as V)
  }
}
