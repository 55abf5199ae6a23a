import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { WorkQueueObserver, WorkQueueSnapshot } from '../kubernetes/work-queue.ts'

const buckets = [0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60]

/** Metrics of the work queues, under client-go's names. Queues of one name are counted together. */
export class QueueMetrics implements WorkQueueObserver {
  readonly #adds: Counter<'name'>
  readonly #retries: Counter<'name'>
  readonly #waits: Histogram<'name'>
  readonly #works: Histogram<'name'>
  readonly #depth: Gauge<'name'>
  readonly #unfinished: Gauge<'name'>
  readonly #longest: Gauge<'name'>
  readonly #overdue: Histogram

  /** @param overdue observes by how much delayed work of the queue `applications` was late */
  constructor(register: Registry, overdue: Histogram) {
    const common = { labelNames: ['name'] as const, registers: [register] }
    this.#overdue = overdue
    this.#adds = new Counter({ name: 'workqueue_adds_total', help: 'Keys that were added.', ...common })
    this.#retries = new Counter({ name: 'workqueue_retries_total', help: 'Keys that were added again.', ...common })
    this.#waits = new Histogram({
      name: 'workqueue_queue_duration_seconds',
      help: 'From being ready to being picked up.',
      buckets,
      ...common,
    })
    this.#works = new Histogram({
      name: 'workqueue_work_duration_seconds',
      help: 'How long handling took.',
      buckets,
      ...common,
    })
    this.#depth = new Gauge({ name: 'workqueue_depth', help: 'Keys that are ready and not picked up.', ...common })
    this.#unfinished = new Gauge({
      name: 'workqueue_unfinished_work_seconds',
      help: 'Time spent so far on all that is being handled.',
      ...common,
    })
    this.#longest = new Gauge({
      name: 'workqueue_longest_running_processor_seconds',
      help: 'Time spent so far on what has been handled for longest.',
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

  /** Takes the gauges from the queues. */
  update(snapshots: Iterable<WorkQueueSnapshot>): void {
    for (const gauge of [this.#depth, this.#unfinished, this.#longest]) gauge.reset()
    const longest = new Map<string, number>()
    for (const { depth, maxRunningMs, name, unfinishedMs } of snapshots) {
      this.#depth.inc({ name }, depth)
      this.#unfinished.inc({ name }, unfinishedMs / 1000)
      longest.set(name, Math.max(longest.get(name) ?? 0, maxRunningMs))
    }
    for (const [name, ms] of longest) this.#longest.set({ name }, ms / 1000)
  }
}
