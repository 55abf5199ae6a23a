import { inspect } from 'node:util'

const redacted = '[redacted]'

/**
 * A secret string: token, appSecret, appKey.
 *
 * It prints as `[redacted]` wherever JavaScript prints: template strings, JSON, util.inspect, loggers. Only `reveal()`
 * returns the value, so `grep reveal` lists every place where a secret leaves the program.
 */
export class Sensitive {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** Returns the secret. */
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
