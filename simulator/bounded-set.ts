/** A set of at most `limit` values: adding one more removes the oldest. */
export class BoundedSet<T> {
  readonly #limit: number
  readonly #values = new Set<T>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#values.size
  }

  has(value: T): boolean {
    return this.#values.has(value)
  }

  add(value: T): void {
    this.#values.add(value)
    if (this.#values.size <= this.#limit) return
    const oldest = this.#values.values().next()
    if (oldest.done !== true) this.#values.delete(oldest.value)
  }
}
