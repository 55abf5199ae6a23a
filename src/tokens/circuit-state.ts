import type { Failure } from '../enos/failure.ts'

/** So many consecutive failures open the circuit. */
const failureLimit = 10

/**
 * Decides when a gateway's circuit opens and closes. It opens after ten consecutive failures of ten different
 * applications (or of all, where the gateway has fewer), so that the fault of one application is not taken for the
 * gateway's. The first answer closes it.
 *
 * Failures are those that heal by themselves: no answer, HTTP 429 and 5xx, 1005, and replies that are none of the token
 * service's. A refusal (1002, 1003) is an answer.
 *
 * With n calls in flight, at most 9 + n attempts fail before the circuit is open.
 */
export class CircuitState<K> {
  /** At most the gateway's applications: `remove` drops one. */
  readonly #failed = new Set<K>()
  #failures = 0
  #lastFailure: Failure | undefined
  #isOpen = false

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** The failure of the last attempt; undefined after an answer. */
  get lastFailure(): Failure | undefined {
    return this.#lastFailure
  }

  /** The applications that failed since the last answer; at most all of the gateway's. */
  get failed(): ReadonlySet<K> {
    return this.#failed
  }

  /**
   * @param applicationCount how many applications the gateway has
   * @returns whether this failure opened the circuit
   */
  reportFailure(application: K, failure: Failure, applicationCount: number): boolean {
    this.#failed.add(application)
    this.#failures++
    this.#lastFailure = failure
    if (this.#isOpen) return false
    this.#isOpen = this.#failures >= failureLimit && this.#failed.size >= Math.min(failureLimit, applicationCount)
    return this.#isOpen
  }

  /** @returns whether this answer closed the circuit */
  reportAnswer(): boolean {
    const wasOpen = this.#isOpen
    this.#failed.clear()
    this.#failures = 0
    this.#lastFailure = undefined
    this.#isOpen = false
    return wasOpen
  }

  /** Drops an application that no longer exists. */
  remove(application: K): void {
    this.#failed.delete(application)
  }
}
