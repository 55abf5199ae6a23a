/** A binary heap: `pop` returns the item that `isBefore` orders first. */
export class Heap<T> {
  /** The owner bounds it: an item stays until `pop` or `reset`. */
  readonly #items: T[] = []
  readonly #isBefore: (a: T, b: T) => boolean

  constructor(isBefore: (a: T, b: T) => boolean) {
    this.#isBefore = isBefore
  }

  get size(): number {
    return this.#items.length
  }

  peek(): T | undefined {
    return this.#items[0]
  }

  push(item: T): void {
    let at = this.#items.push(item) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#isOrdered(at, parent)) break
      this.#swap(at, parent)
      at = parent
    }
  }

  pop(): T | undefined {
    const first = this.#items[0]
    const last = this.#items.pop()
    if (this.#items.length === 0 || last === undefined) return first
    this.#items[0] = last
    let at = 0
    while (true) {
      let child = 2 * at + 1
      if (child >= this.#items.length) return first
      if (child + 1 < this.#items.length && this.#isOrdered(child + 1, child)) child++
      if (!this.#isOrdered(child, at)) return first
      this.#swap(child, at)
      at = child
    }
  }

  /** Replaces all items. */
  reset(items: Iterable<T>): void {
    this.#items.length = 0
    for (const item of items) this.push(item)
  }

  #isOrdered(a: number, b: number): boolean {
    return this.#isBefore(this.#items[a] as T, this.#items[b] as T)
  }

  #swap(a: number, b: number): void {
    const item = this.#items[a] as T
    this.#items[a] = this.#items[b] as T
    this.#items[b] = item
  }
}
