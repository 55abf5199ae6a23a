import type { Fault } from './faults.ts'
import type { Operation } from './token-service.ts'

export interface Call {
  readonly operation: Operation
  /** Undefined where the body has none. */
  readonly appKey: string | undefined
  /** When the request had arrived, in ms on the monotonic clock. */
  readonly atMs: number
  /** Status code of the token service; undefined where the token service did not answer. */
  readonly status: number | undefined
  /** Undefined where nothing was answered. */
  readonly httpStatus: number | undefined
  /** Fingerprint of the token in the answer. */
  readonly fingerprint: string | undefined
  /** The fault that was applied. */
  readonly fault: Fault['kind'] | undefined
}

/** The last `limit` calls in order of arrival. */
export class CallLog {
  readonly #limit: number
  #calls: Call[] = []

  constructor(limit: number) {
    this.#limit = limit
  }

  add(call: Call): void {
    this.#calls.push(call)
    // Between two cuts up to twice the limit is held: a shift for each call would cost more than the call.
    if (this.#calls.length >= this.#limit * 2) this.#calls = this.#calls.slice(-this.#limit)
  }

  /** A copy, which later calls do not change. */
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
