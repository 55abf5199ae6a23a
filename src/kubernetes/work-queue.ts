import { type Backoff, backoffMs } from '../lib/backoff.ts'
import type { Clock, Timer } from '../lib/clock.ts'
import { KeyedHeap } from '../lib/keyed-heap.ts'
import type { Random } from '../lib/random.ts'

/** Receives a queue's measurements, with the meanings of client-go's workqueue metrics, but for `onAdd`. */
export interface WorkQueueObserver {
  /** A key became ready: each such add leads to one handling. */
  onAdd(queue: string): void
  onRetry(queue: string): void
  /** `waitedMs`: from ready to picked up. */
  onStart(queue: string, waitedMs: number): void
  onDone(queue: string, workedMs: number): void
  /** `lateMs`: from the due time of a delayed add to its pick-up. */
  onLate(queue: string, lateMs: number): void
}

/** The state of a queue at one moment, for metrics and probes. */
export interface WorkQueueSnapshot {
  readonly name: string
  /** Keys that are ready and not yet picked up. */
  readonly depth: number
  readonly processing: number
  readonly delayed: number
  /** Time spent so far, summed over all keys being processed. */
  readonly unfinishedMs: number
  readonly maxRunningMs: number
  /** The most by which the handling of one key exceeds its limit; 0: no key exceeds it. */
  readonly overrunMs: number
  /** The longest time that a key has been ready although a worker is free or no worker was ever started; 0: no such key. */
  readonly neglectedMs: number
  /** The time since the earliest delayed key was due; 0: none is overdue. */
  readonly overdueMs: number
}

export interface WorkQueueOptions<K> {
  readonly name: string
  readonly clock: Clock
  readonly random: Random
  readonly observer?: WorkQueueObserver
  /** For `addRateLimited` and for keys whose handler threw. Default: 200 ms to 5 min. */
  readonly backoff?: Backoff
  /**
   * Waiting this long counts as one priority more, so that no key starves. A higher priority is thereby the same as an
   * earlier ready time, and the order of two keys never changes while they wait, so a heap can hold them. Default: 30 s.
   */
  readonly agingMs?: number
  /** The maximum handling time of a key; a key that takes longer is stuck. Default: 5 min. */
  readonly handlingLimitMs?: (key: K) => number
  /** Called when a handler throws. The key is added again, rate limited. */
  readonly onError: (key: K, error: unknown) => void
}

export interface AddOptions {
  /** Higher goes first. Default: 0. */
  readonly priority?: number
}

export type Handler<K> = (key: K, signal: AbortSignal) => Promise<void>

interface Ready<K> {
  readonly key: K
  readonly priority: number
  readonly readyAt: number
  readonly sequence: number
  /** The due time of a delayed add; undefined for other adds. */
  readonly dueAt: number | undefined
}

interface Delayed<K> {
  readonly key: K
  readonly dueAt: number
  readonly priority: number
}

/** With 2 s, first passes went before new tokens as soon as a burst had lasted that long, and ran ahead of the gateway. */
const defaultAgingMs = 30_000
/** Calls have deadlines of at most 30 s, and no handler makes many of them one after another. */
const defaultHandlingLimitMs = 5 * 60_000

/**
 * A queue of keys with the semantics of client-go's: a key is queued once however often it is added, is never handled
 * twice at a time, and is handled once more if it was added while being handled. Adds may be delayed (the earliest wins)
 * and rate limited by key.
 *
 * Invariants: a key is in at most one of `#ready` and `#processing`; `#dirty` holds only keys that are in
 * `#processing`; a delayed key may be in either as well.
 */
export class WorkQueue<K extends string> {
  readonly #options: WorkQueueOptions<K>
  readonly #backoff: Backoff
  /** A key stays until a worker takes it, or `remove` is called. */
  readonly #ready: KeyedHeap<K, Ready<K>>
  /** At most as many keys as workers. */
  readonly #processing = new Map<K, number>()
  /** At most as many keys as workers. */
  readonly #dirty = new Map<K, { priority: number; dueAt: number | undefined }>()
  /** A key stays until it is due or `remove` is called. */
  readonly #delayed = new KeyedHeap<K, Delayed<K>>((a, b) => a.dueAt < b.dueAt)
  /** A key stays until `forget` after a success, or `remove`. */
  readonly #failures = new Map<K, number>()
  readonly #aborter = new AbortController()
  #handler: Handler<K> | undefined
  #concurrency = 0
  #sequence = 0
  #timer: { readonly dueAt: number; readonly timer: Timer } | undefined
  #isShutDown = false
  #onDrained: (() => void) | undefined

  constructor(options: WorkQueueOptions<K>) {
    this.#options = options
    this.#backoff = options.backoff ?? { baseMs: 200, capMs: 5 * 60_000 }
    const { agingMs = defaultAgingMs } = options
    const rank = ({ priority, readyAt }: Ready<K>): number => readyAt - priority * agingMs
    this.#ready = new KeyedHeap((a, b) => rank(a) < rank(b) || (rank(a) === rank(b) && a.sequence < b.sequence))
  }

  /** Makes a key ready. Raises the priority of a key that is ready already, never lowers it. */
  add(key: K, { priority = 0 }: AddOptions = {}): void {
    this.#add(key, priority, undefined)
  }

  /** Makes a key ready after a delay. Of several, the earliest time and the highest priority count; `add` cancels none. */
  addAfter(key: K, delayMs: number, { priority = 0 }: AddOptions = {}): void {
    if (this.#isShutDown) return
    const dueAt = this.#options.clock.now() + Math.max(0, delayMs)
    const other = this.#delayed.get(key) ?? { dueAt, priority }
    this.#delayed.set({ key, dueAt: Math.min(dueAt, other.dueAt), priority: Math.max(priority, other.priority) })
    this.#armTimer()
  }

  /** Makes a key ready after a delay that grows with each call until `forget`, and is at least `minDelayMs`. */
  addRateLimited(key: K, { priority = 0, minDelayMs = 0 }: AddOptions & { readonly minDelayMs?: number } = {}): void {
    const failures = (this.#failures.get(key) ?? 0) + 1
    this.#failures.set(key, failures)
    this.#options.observer?.onRetry(this.#options.name)
    this.addAfter(key, Math.max(minDelayMs, backoffMs(this.#backoff, failures, this.#options.random)), { priority })
  }

  /** Resets the count of `addRateLimited`. */
  forget(key: K): void {
    this.#failures.delete(key)
  }

  /** Drops the delay and the count of a key that needs neither any more; the delay would stay until it is due, days perhaps. */
  remove(key: K): void {
    this.#delayed.remove(key)
    this.#failures.delete(key)
  }

  /**
   * Forgets what was added for a key while it is processed, up to now. Called by a handler before it reads everything
   * that the adds may tell of: only a later add has the key handled once more.
   */
  markClean(key: K): void {
    const { clock, name, observer } = this.#options
    const dueAt = this.#dirty.get(key)?.dueAt
    this.#dirty.delete(key)
    if (dueAt !== undefined) observer?.onLate(name, clock.now() - dueAt)
  }

  retries(key: K): number {
    return this.#failures.get(key) ?? 0
  }

  /** Starts up to `concurrency` workers. Called once. */
  run(concurrency: number, handler: Handler<K>): void {
    this.#handler = handler
    this.#concurrency = concurrency
    this.#dispatch()
  }

  /**
   * Stops accepting keys, drops those that wait, and resolves when the running handlers are done. Their signal aborts
   * after `drainMs`.
   */
  async shutDown({ drainMs }: { readonly drainMs: number }): Promise<void> {
    this.#isShutDown = true
    this.#ready.clear()
    this.#dirty.clear()
    this.#delayed.clear()
    this.#timer?.timer.cancel()
    if (this.#processing.size === 0) return
    const abort = this.#options.clock.setTimer(drainMs, () => {
      this.#aborter.abort(new Error('the queue is shut down'))
    })
    await new Promise<void>((resolve) => {
      this.#onDrained = resolve
    })
    abort.cancel()
  }

  /** Whether the key is ready, being processed or delayed. */
  has(key: K): boolean {
    return this.#ready.has(key) || this.#processing.has(key) || this.#delayed.has(key)
  }

  snapshot(): WorkQueueSnapshot {
    const { clock, handlingLimitMs = () => defaultHandlingLimitMs } = this.#options
    const now = clock.now()
    const running = [...this.#processing.values()].map((startedAt) => now - startedAt)
    const overruns = [...this.#processing].map(([key, startedAt]) => now - startedAt - handlingLimitMs(key))
    // Waiting for busy workers is no neglect: `overrunMs` shows whether those are stuck.
    const isNeglected = this.#handler === undefined || this.#processing.size < this.#concurrency
    const neglected = isNeglected ? [...this.#ready.values()] : []
    const overdueMs = now - (this.#delayed.peek()?.dueAt ?? now)
    return {
      name: this.#options.name,
      depth: this.#ready.size,
      processing: this.#processing.size,
      delayed: this.#delayed.size,
      unfinishedMs: running.reduce((sum, ms) => sum + ms, 0),
      maxRunningMs: Math.max(0, ...running),
      overrunMs: Math.max(0, ...overruns),
      neglectedMs: neglected.reduce((max, { readyAt }) => Math.max(max, now - readyAt), 0),
      overdueMs: Math.max(0, overdueMs),
    }
  }

  #add(key: K, priority: number, dueAt: number | undefined): void {
    if (this.#isShutDown) return
    if (this.#processing.has(key)) {
      this.#markDirty(key, priority, dueAt)
      return
    }
    const waiting = this.#ready.get(key)
    if (waiting !== undefined && waiting.priority >= priority) return
    this.#enqueue(key, priority, waiting?.readyAt ?? this.#options.clock.now(), waiting?.dueAt ?? dueAt)
    this.#dispatch()
  }

  /** Has a key that is being processed processed once more. */
  #markDirty(key: K, priority: number, dueAt: number | undefined): void {
    const dirty = this.#dirty.get(key)
    this.#dirty.set(key, { priority: Math.max(priority, dirty?.priority ?? priority), dueAt: dirty?.dueAt ?? dueAt })
  }

  #enqueue(key: K, priority: number, readyAt: number, dueAt: number | undefined): void {
    // An add during the handling of its key counts only now: until now markClean could forget it.
    if (!this.#ready.has(key)) this.#options.observer?.onAdd(this.#options.name)
    this.#ready.set({ key, priority, readyAt, sequence: this.#sequence++, dueAt })
  }

  #dispatch(): void {
    while (this.#handler !== undefined && this.#processing.size < this.#concurrency) {
      const next = this.#ready.pop()
      if (next === undefined) return
      void this.#process(next, this.#handler)
    }
  }

  async #process({ key, readyAt, dueAt }: Ready<K>, handler: Handler<K>): Promise<void> {
    const { clock, name, observer, onError } = this.#options
    const startedAt = clock.now()
    this.#processing.set(key, startedAt)
    observer?.onStart(name, startedAt - readyAt)
    if (dueAt !== undefined) observer?.onLate(name, startedAt - dueAt)
    try {
      await handler(key, this.#aborter.signal)
    } catch (error) {
      onError(key, error)
      this.addRateLimited(key)
    }
    observer?.onDone(name, clock.now() - startedAt)
    this.#processing.delete(key)
    const dirty = this.#dirty.get(key)
    if (dirty !== undefined) {
      this.#dirty.delete(key)
      this.#enqueue(key, dirty.priority, clock.now(), dirty.dueAt)
    }
    if (this.#isShutDown && this.#processing.size === 0) this.#onDrained?.()
    this.#dispatch()
  }

  /** Keeps one timer, for the earliest delay. */
  #armTimer(): void {
    const next = this.#delayed.peek()
    if (next === undefined || this.#isShutDown) return
    if (this.#timer !== undefined && this.#timer.dueAt <= next.dueAt) return
    this.#timer?.timer.cancel()
    const { clock } = this.#options
    const timer = clock.setTimer(next.dueAt - clock.now(), () => {
      this.#timer = undefined
      this.#addDue()
    })
    this.#timer = { dueAt: next.dueAt, timer }
  }

  #addDue(): void {
    const now = this.#options.clock.now()
    for (let next = this.#delayed.peek(); next !== undefined && next.dueAt <= now; next = this.#delayed.peek()) {
      this.#delayed.pop()
      this.#add(next.key, next.priority, next.dueAt)
    }
    this.#armTimer()
  }
}
