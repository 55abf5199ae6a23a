import type { Clock, Timer } from './clock.ts'

const intervalMs = 5000
/**
 * Processor time of an interval, as a share of one core. A first sync uses 40 % or more, since it waits for the API server;
 * 60 renewals a second use 20 %.
 */
const busyShare = 0.25
/** 10,000 resources at rest, scraped every 15 s, are below it. */
const quietShare = 0.1
/** A collection takes about 2 ms for each MiB, in which nothing else happens: 1 s at most. */
const maxHeapBytes = 512 * 1024 * 1024

export interface IdleCollectorOptions {
  readonly clock: Clock
  /** Processor time that this process has used, ms. On a busy machine a scrape takes long, but no more of it. */
  readonly cpuMs: () => number
  readonly heapBytes: () => number
  /** Collects all garbage and gives the memory back. */
  readonly collect: () => void
}

/**
 * Collects all garbage once when a burst of work is over. V8 by itself keeps it until the heap meets its limit: after a
 * first sync, half of the heap was garbage for as long as the operator had nothing to do.
 */
export class IdleCollector {
  readonly #options: IdleCollectorOptions
  #lastCpuMs = 0
  #hasGarbage = false
  #timer: Timer | undefined

  constructor(options: IdleCollectorOptions) {
    this.#options = options
  }

  start(): void {
    this.#lastCpuMs = this.#options.cpuMs()
    this.#timer = this.#options.clock.setTimer(intervalMs, () => {
      this.#check()
      this.start()
    })
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #check(): void {
    const { collect, cpuMs, heapBytes } = this.#options
    const share = (cpuMs() - this.#lastCpuMs) / intervalMs
    if (share > busyShare) this.#hasGarbage = true
    if (share > quietShare || !this.#hasGarbage) return
    this.#hasGarbage = false
    if (heapBytes() <= maxHeapBytes) collect()
  }
}

/** Of this process. */
export function createIdleCollector(clock: Clock): IdleCollector {
  return new IdleCollector({
    clock,
    cpuMs: () => {
      const { system, user } = process.cpuUsage()
      return (system + user) / 1000
    },
    heapBytes: () => process.memoryUsage().heapUsed,
    collect: collectGarbage,
  })
}

type Collect = (options: { readonly type: 'major'; readonly flavor: 'last-resort' }) => void

/** Collects all garbage and gives the memory back; nothing where Node runs without --expose-gc. */
function collectGarbage(): void {
  const { gc } = globalThis as { gc?: Collect }
  // An ordinary collection keeps the freed pages for later.
  gc?.({ type: 'major', flavor: 'last-resort' })
}
