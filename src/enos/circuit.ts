/** So many attempts in a row, of whatever applications, bring no answer: the gateway is down. */
const failureLimit = 10
/** While it is down, one attempt is made this often. */
const firstProbeMs = 1000
const longestProbeMs = 5000

/**
 * Keeps thousands of applications from storming a gateway that is down: after some failures in a row, one attempt is let
 * through now and then, until one is answered. Any answer of the token service counts, a refusal too.
 */
export class Circuit {
  #failures = 0
  #nextProbeAt = Number.NEGATIVE_INFINITY

  get isOpen(): boolean {
    return this.#failures >= failureLimit
  }

  /**
   * Asks to make an attempt.
   * @returns how long to wait before asking again, in ms; 0: go on, and `report` what came of it
   */
  admit(now: number): number {
    if (!this.isOpen) return 0
    if (now < this.#nextProbeAt) return this.#nextProbeAt - now
    this.#nextProbeAt = now + Math.min(longestProbeMs, firstProbeMs * (1 + this.#failures - failureLimit))
    return 0
  }

  report(hasAnswered: boolean): void {
    this.#failures = hasAnswered ? 0 : this.#failures + 1
  }
}
