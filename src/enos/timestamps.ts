import { type Clock, sleep } from '../lib/clock.ts'
import { CompactMap } from '../lib/compact-map.ts'
import type { Sensitive } from '../lib/sensitive.ts'

/** How far a wall clock may step back without a repeated timestamp. Older ones are dropped: ntpd itself steps by at most 1000 s. */
const maxStepBackMs = 3_600_000
/**
 * Per appKey, the newest ones: at this bound 1 KiB of numbers and the slack of their array. Measured for each of 20,000
 * appKeys at four calls an hour: some 300 bytes. With a call each quarter of a second these are the last 32 s.
 */
const maxPerKey = 128
/** The appKeys with a call in the last hour, at most so many; beyond it, the one with the oldest call is dropped. */
const maxKeys = 20_000

/**
 * Request timestamps, never the same one twice for an appKey: the gateway refuses a repeated `encryption` with 1001,
 * and get and refresh in the same millisecond have the same one. This also holds for parallel calls, for several
 * gateways, and for a wall clock that steps back within the bounds above. Beyond them, a repeated timestamp is as
 * unlikely as two calls in the same millisecond, and is answered with 1001 and tried again.
 */
export class Timestamps {
  readonly #clock: Clock
  /** The used timestamps that the clock may show again, by appKey; keys in the order of their last call. */
  readonly #usedByKey = new CompactMap<string, number[]>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The number of timestamps that are remembered. */
  get size(): number {
    let size = 0
    for (const used of this.#usedByKey.values()) size += used.length
    return size
  }

  /**
   * UNIX time in milliseconds, by the wall clock: the present one or, if it is used, the next one that is free. Never
   * one ahead of the clock, which a gateway may refuse: waits instead.
   *
   * @throws the signal's reason as soon as it aborts
   */
  async next(appKey: Sensitive, signal: AbortSignal): Promise<number> {
    const key = appKey.reveal()
    while (true) {
      const timestamp = Math.trunc(this.#clock.wall())
      if (this.#take(key, timestamp)) return timestamp
      await sleep(this.#clock, 1, signal)
    }
  }

  #take(key: string, timestamp: number): boolean {
    const used = this.#usedByKey.get(key) ?? []
    if (used.includes(timestamp)) return false
    const oldest = timestamp - maxStepBackMs
    // A push, or a list literal with a spread, would make room for 16 more.
    const kept = used
      .filter((other) => other >= oldest)
      .slice(1 - maxPerKey)
      .concat(timestamp)
    // Set again, so that the map's order is that of the last call.
    this.#usedByKey.delete(key)
    this.#usedByKey.set(key, kept)
    this.#dropKeys(oldest)
    return true
  }

  #dropKeys(oldest: number): void {
    for (const [key, used] of this.#usedByKey) {
      if (this.#usedByKey.size <= maxKeys && used.some((timestamp) => timestamp >= oldest)) return
      this.#usedByKey.delete(key)
    }
  }
}
