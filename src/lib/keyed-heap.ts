import { CompactMap } from './compact-map.ts'
import { Heap } from './heap.ts'

/**
 * A heap with one item for each key: a later `set` replaces the item. Outdated items leave lazily, and the heap is
 * rebuilt before they are more than the valid ones, so its size is bounded by the number of keys.
 */
export class KeyedHeap<K, T extends { readonly key: K }> {
  readonly #items = new CompactMap<K, T>()
  /** At most 2 × `#items` + 16 items. */
  readonly #heap: Heap<T>

  constructor(isBefore: (a: T, b: T) => boolean) {
    this.#heap = new Heap(isBefore)
  }

  get size(): number {
    return this.#items.size
  }

  /** Size with outdated items. */
  get heapSize(): number {
    return this.#heap.size
  }

  get(key: K): T | undefined {
    return this.#items.get(key)
  }

  has(key: K): boolean {
    return this.#items.has(key)
  }

  values(): IterableIterator<T> {
    return this.#items.values()
  }

  set(item: T): void {
    this.#items.set(item.key, item)
    this.#heap.push(item)
    this.#compact()
  }

  remove(key: K): void {
    this.#items.delete(key)
    this.#compact()
  }

  clear(): void {
    this.#items.clear()
    this.#compact()
  }

  /** The item that `isBefore` orders first. */
  peek(): T | undefined {
    let first = this.#heap.peek()
    while (first !== undefined && this.#items.get(first.key) !== first) {
      this.#heap.pop()
      first = this.#heap.peek()
    }
    return first
  }

  pop(): T | undefined {
    const first = this.peek()
    if (first === undefined) return undefined
    this.#heap.pop()
    this.#items.delete(first.key)
    return first
  }

  #compact(): void {
    if (this.#heap.size > 2 * this.#items.size + 16) this.#heap.reset(this.#items.values())
  }
}
