/**
 * Gives equal strings that come soon after one another the same memory: each parsed object has strings of its own, and of
 * one credential, its status and its Secrets most are equal.
 */
export class SharedStrings {
  /** At most `max` strings of at most `maxLength` characters; when it is full it begins anew. */
  readonly #known = new Map<string, string>()
  readonly #max: number
  readonly #maxLength = 256

  constructor(max: number) {
    this.#max = max
  }

  /** How many strings are held. */
  get size(): number {
    return this.#known.size
  }

  share(text: string): string {
    if (text.length > this.#maxLength) return text
    const known = this.#known.get(text)
    if (known !== undefined) return known
    if (this.#known.size >= this.#max) this.#known.clear()
    this.#known.set(text, text)
    return text
  }

  /** Shares all strings in a tree of plain objects and lists, in place. */
  shareAll<T>(tree: T): T {
    if (typeof tree === 'string') return this.share(tree) as T
    if (typeof tree !== 'object' || tree === null) return tree
    const fields = tree as Record<string, unknown>
    for (const field of Object.keys(fields)) {
      const value = fields[field]
      if (typeof value === 'string') fields[field] = this.share(value)
      else this.shareAll(value)
    }
    return tree
  }
}
