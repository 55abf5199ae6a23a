/** How long the targets have held an expired token, as far as this process was there to see it. It never falls. */
export class ExpiredTime {
  #totalMs = 0
  #countedUntil: number

  /** @param since when this process saw the targets first, monotonic clock */
  constructor(since: number) {
    this.#countedUntil = since
  }

  /**
   * Counts the time since it was last counted, in which the targets held a token that expires (or expired) then.
   *
   * @returns all of it, ms
   */
  countUntil(now: number, expiresAt: number | undefined): number {
    if (expiresAt !== undefined) this.#totalMs += Math.max(0, now - Math.max(expiresAt, this.#countedUntil))
    this.#countedUntil = now
    return this.#totalMs
  }
}
