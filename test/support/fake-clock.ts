import type { Clock, Timer } from '../../src/lib/clock.ts'

interface Pending {
  readonly dueAt: number
  readonly sequence: number
  readonly callback: () => void
}

/** A clock that moves only in `advance`. `stepWall` steps the wall clock against the monotonic clock. */
export class FakeClock implements Clock {
  #now: number
  #wallOffset = 0
  #sequence = 0
  readonly #timers = new Set<Pending>()

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#now = startMs
  }

  now(): number {
    return this.#now
  }

  wall(): number {
    return this.#now + this.#wallOffset
  }

  /** Steps the wall clock by `ms`, and leaves the monotonic clock unchanged. */
  stepWall(ms: number): void {
    this.#wallOffset += ms
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer = { dueAt: this.#now + Math.max(0, delayMs), sequence: this.#sequence++, callback }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }

  get pendingTimers(): number {
    return this.#timers.size
  }

  /** Advances both clocks by `ms`, fires due timers in order, and lets promises settle after each. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms
    await settle()
    while (true) {
      const next = [...this.#timers]
        .filter((timer) => timer.dueAt <= until)
        .sort((a, b) => a.dueAt - b.dueAt || a.sequence - b.sequence)[0]
      if (next === undefined) break
      this.#timers.delete(next)
      this.#now = Math.max(this.#now, next.dueAt)
      next.callback()
      await settle()
    }
    this.#now = until
    await settle()
  }
}

/** Lets pending promise callbacks run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}
