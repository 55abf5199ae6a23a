import { inspect } from 'node:util'

const redacted = '[redacted]'

/**
 * A secret string (token, appSecret, appKey) on its way through the program.
 *
 * It prints as `[redacted]` in every way that JavaScript prints: template strings, JSON, util.inspect, loggers. Only
 * `reveal()` opens it, so that `grep reveal` lists every place where a secret leaves.
 */
export class Sensitive {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The secret itself. */
  reveal(): string {
    return this.#value
  }

  equals(other: Sensitive): boolean {
    return this.#value === other.#value
  }

  toString(): string {
    return redacted
  }

  toJSON(): string {
    return redacted
  }

  [inspect.custom](): string {
    return redacted
  }
}
