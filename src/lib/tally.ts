import { SmallMap } from './small-map.ts'

/** A multiset: counts how often each value was added. */
export class Tally<K> {
  /** Bounded by its owner: the values added and not removed since. */
  readonly #counts = new SmallMap<K, number>()

  add(value: K): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + 1)
  }

  /** Undoes one `add` of the value. A value that was not added stays absent. */
  remove(value: K): void {
    const count = this.#counts.get(value) ?? 0
    if (count > 1) this.#counts.set(value, count - 1)
    else this.#counts.delete(value)
  }

  has(value: K): boolean {
    return this.#counts.has(value)
  }

  /** The distinct values. */
  values(): Iterable<K> {
    return this.#counts.keys()
  }
}
