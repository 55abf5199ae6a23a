import type { Failure } from '../enos/token-client.ts'

/** So many failures in a row open the circuit. */
const failureLimit = 10

/**
 * Whether a gateway is down for everybody: ten failures in a row, of ten different applications (or of all, where it
 * has fewer), so that one application's own trouble is not taken for the gateway's. The first answer closes it again.
 *
 * A failure is what heals by itself: no answer, but also HTTP 429 and 5xx, 1005, and a reply that is none of the token
 * service's. A gateway that answers so to everybody has asked to be left alone. A refusal (1002, 1003) is an answer.
 *
 * With n calls in flight, at most 9 + n attempts fail before it is open.
 */
export class Circuit<K> {
  readonly #failed = new Set<K>()
  #failures = 0
  #failure: Failure | undefined
  #isOpen = false

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Why the last attempt failed; undefined after an answer. */
  get failure(): Failure | undefined {
    return this.#failure
  }

  /** Who failed since the last answer. */
  get failed(): ReadonlySet<K> {
    return this.#failed
  }

  /**
   * @param applicationCount how many applications the gateway has
   * @returns whether this opened it
   */
  reportFailure(application: K, failure: Failure, applicationCount: number): boolean {
    this.#failed.add(application)
    this.#failures++
    this.#failure = failure
    if (this.#isOpen) return false
    this.#isOpen = this.#failures >= failureLimit && this.#failed.size >= Math.min(failureLimit, applicationCount)
    return this.#isOpen
  }

  /** @returns whether this closed it */
  reportAnswer(): boolean {
    const wasOpen = this.#isOpen
    this.#failed.clear()
    this.#failures = 0
    this.#failure = undefined
    this.#isOpen = false
    return wasOpen
  }

  forget(application: K): void {
    this.#failed.delete(application)
  }
}
