import type { Fault } from './faults.ts'
import type { Operation } from './token-service.ts'

export interface Call {
  readonly operation: Operation
  /** Undefined where the body had none. */
  readonly appKey: string | undefined
  /** When the request had arrived, on the monotonic clock in ms. */
  readonly atMs: number
  /** Of the token service; undefined where it did not answer. */
  readonly status: number | undefined
  /** Undefined where there was no answer at all. */
  readonly httpStatus: number | undefined
  /** Of the token in the answer: the first 12 hex digits of its sha256. */
  readonly fingerprint: string | undefined
  /** The fault that struck. */
  readonly fault: Fault['kind'] | undefined
}

/** The last calls, in the order in which they arrived. */
export class CallLog {
  readonly #limit: number
  #calls: Call[] = []

  constructor(limit: number) {
    this.#limit = limit
  }

  add(call: Call): void {
    this.#calls.push(call)
    // Cut in lumps: taking one off the front of a long array for each call would cost more than the call.
    if (this.#calls.length >= this.#limit * 2) this.#calls = this.#calls.slice(-this.#limit)
  }

  /** A copy: it does not change when more calls come. */
  list(): readonly Call[] {
    return this.#calls.slice(-this.#limit)
  }

  get size(): number {
    return Math.min(this.#calls.length, this.#limit)
  }

  clear(): void {
    this.#calls = []
  }
}
