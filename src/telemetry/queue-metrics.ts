import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { WorkQueueObserver, WorkQueueSnapshot } from '../kubernetes/work-queue.ts'

const buckets = [0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60]

/** Metrics of the work queues, under client-go's names. Queues of the same name are counted together. */
export class QueueMetrics implements WorkQueueObserver {
  readonly #adds: Counter<'name'>
  readonly #retries: Counter<'name'>
  readonly #waits: Histogram<'name'>
  readonly #works: Histogram<'name'>
  readonly #depth: Gauge<'name'>
  readonly #unfinished: Gauge<'name'>
  readonly #maxRunning: Gauge<'name'>
  readonly #overdue: Histogram

  /** @param overdue observes the lateness of delayed work in the queue `applications` */
  constructor(register: Registry, overdue: Histogram) {
    const common = { labelNames: ['name'] as const, registers: [register] }
    this.#overdue = overdue
    this.#adds = new Counter({
      name: 'workqueue_adds_total',
      help: 'Keys that became ready: each is handled once.',
      ...common,
    })
    this.#retries = new Counter({
      name: 'workqueue_retries_total',
      help: 'Keys added again after a failure.',
      ...common,
    })
    this.#waits = new Histogram({
      name: 'workqueue_queue_duration_seconds',
      help: 'Time from ready to picked up.',
      buckets,
      ...common,
    })
    this.#works = new Histogram({
      name: 'workqueue_work_duration_seconds',
      help: 'Duration of handling a key.',
      buckets,
      ...common,
    })
    this.#depth = new Gauge({ name: 'workqueue_depth', help: 'Keys that are ready and not picked up.', ...common })
    this.#unfinished = new Gauge({
      name: 'workqueue_unfinished_work_seconds',
      help: 'Time spent so far on all keys being handled.',
      ...common,
    })
    this.#maxRunning = new Gauge({
      name: 'workqueue_longest_running_processor_seconds',
      help: 'Time spent so far on the key that has been handled for longest.',
      ...common,
    })
  }

  onAdd(name: string): void {
    this.#adds.inc({ name })
  }

  onRetry(name: string): void {
    this.#retries.inc({ name })
  }

  onStart(name: string, waitedMs: number): void {
    this.#waits.observe({ name }, waitedMs / 1000)
  }

  onDone(name: string, workedMs: number): void {
    this.#works.observe({ name }, workedMs / 1000)
  }

  onLate(name: string, lateMs: number): void {
    if (name === 'applications') this.#overdue.observe(lateMs / 1000)
  }

  /** Sets the gauges from snapshots of the queues, and begins the counters of new ones with 0. */
  update(snapshots: Iterable<WorkQueueSnapshot>): void {
    for (const gauge of [this.#depth, this.#unfinished, this.#maxRunning]) gauge.reset()
    const maxRunning = new Map<string, number>()
    for (const { depth, maxRunningMs, name, unfinishedMs } of snapshots) {
      // From 0 on, so that a rate counts the first event too.
      this.#adds.inc({ name }, 0)
      this.#retries.inc({ name }, 0)
      this.#depth.inc({ name }, depth)
      this.#unfinished.inc({ name }, unfinishedMs / 1000)
      maxRunning.set(name, Math.max(maxRunning.get(name) ?? 0, maxRunningMs))
    }
    for (const [name, ms] of maxRunning) this.#maxRunning.set({ name }, ms / 1000)
  }
}
