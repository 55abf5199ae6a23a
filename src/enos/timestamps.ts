import type { Clock } from '../lib/clock.ts'
import type { Sensitive } from '../lib/sensitive.ts'

/** How many timestamps are remembered for an appKey: some calls in two hours are usual, so this is months. */
const rememberedPerKey = 1_000
/** The appKeys that were used longest ago are forgotten beyond this number. */
const rememberedKeys = 20_000

/**
 * Request timestamps, never the same twice for one appKey: the gateway refuses a repeated `encryption` with 1001, and
 * get and refresh at the same millisecond have the same one. Also holds across parallel calls, several gateways, and a
 * wall clock that steps back: what was used is remembered, not just the last.
 */
export class Timestamps {
  readonly #clock: Clock
  readonly #usedByKey = new Map<string, Set<number>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** UNIX time in milliseconds: the wall clock's, or the next one that is free. */
  next(appKey: Sensitive): number {
    const key = appKey.reveal()
    const used = this.#usedByKey.get(key) ?? new Set<number>()
    let timestamp = Math.trunc(this.#clock.wall())
    while (used.has(timestamp)) timestamp++
    used.add(timestamp)
    dropOldest(used, rememberedPerKey)
    // Set again, so that the map's order is that of the last use.
    this.#usedByKey.delete(key)
    this.#usedByKey.set(key, used)
    dropOldest(this.#usedByKey, rememberedKeys)
    return timestamp
  }
}

function dropOldest<K>(entries: { size: number; keys(): Iterator<K>; delete(key: K): boolean }, limit: number): void {
  if (entries.size <= limit) return
  const oldest = entries.keys().next()
  if (oldest.done !== true) entries.delete(oldest.value)
}
