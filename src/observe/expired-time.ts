/** How long the targets have held an expired token in the lifetime of this process. Never decreases. */
export class ExpiredTime {
  #totalMs = 0
  #countedUntil: number

  /** @param since when this process first observed the targets, monotonic clock */
  constructor(since: number) {
    this.#countedUntil = since
  }

  /**
   * Adds the time since the last call in which the targets held a token with this expiry.
   *
   * @returns the total, ms
   */
  countUntil(now: number, expiresAt: number | undefined): number {
    if (expiresAt !== undefined) this.#totalMs += Math.max(0, now - Math.max(expiresAt, this.#countedUntil))
    this.#countedUntil = now
    return this.#totalMs
  }
}
