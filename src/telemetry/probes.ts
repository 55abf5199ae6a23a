import type { ObjectKey } from '../kubernetes/types.ts'
import type { WorkQueueSnapshot } from '../kubernetes/work-queue.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Routes } from './http-server.ts'

/** The sources that the probes read. */
export interface ProbeSources {
  readonly clock: Pick<Clock, 'now' | 'wall'>
  readonly log: Log
  readonly hasSynced: () => boolean
  /** The earliest of the watches' last attempts, pages and events, monotonic clock. */
  readonly oldestProgressAt: () => number
  /** The last attempt to acquire or renew the lease, monotonic clock; undefined without leader election. */
  readonly electedAt: () => number | undefined
  /** Whether this replica works on its queues. Keys that gather while another replica leads are no sign of trouble. */
  readonly isWorking: () => boolean
  readonly queues: () => Iterable<WorkQueueSnapshot>
  /** Credentials that no queue holds although their renewal was due before `dueBefore` (wall clock). */
  readonly overdue: (dueBefore: number) => Iterable<ObjectKey>
}

/** A watch gets a bookmark each minute and is aborted after 2.5 minutes of silence; retries come within 60 s. */
const silenceLimitMs = 5 * 60_000
/** A round of the election takes at most 10 s, the pause after it at most 4.4 s. */
const electionLimitMs = 60_000
/** Timers fire within milliseconds, and a free worker takes a ready key at once. */
const scheduleLimitMs = 60_000
/** By then the attempt has begun or is queued. */
const renewalLimitMs = 5 * 60_000

/**
 * Lists the parts that are stuck past their bound, one sentence each; empty when all is well. Stuck means no progress: an
 * API server or a gateway that is down is retried, so a restart would not help. Events do not count, since nothing waits
 * for them.
 */
export function stuckParts(sources: ProbeSources): string[] {
  const { clock, electedAt, isWorking, overdue, queues, oldestProgressAt } = sources
  const now = clock.now()
  const stuck: string[] = []
  if (now - oldestProgressAt() > silenceLimitMs) {
    stuck.push(`watch: no contact with the API server and no attempt for more than ${silenceLimitMs / 1000} s`)
  }
  if (now - (electedAt() ?? now) > electionLimitMs) {
    stuck.push(`leader election: no attempt to acquire or renew the lease for more than ${electionLimitMs / 1000} s`)
  }
  if (!isWorking()) return stuck
  for (const { maxRunningMs, name, neglectedMs, overdueMs, overrunMs } of queues()) {
    const report = (problem: string): void => void stuck.push(`queue ${name}: ${problem}`)
    if (overrunMs > 0) report(`a key has been handled for ${Math.round(maxRunningMs / 1000)} s`)
    if (neglectedMs > scheduleLimitMs) {
      report(`a ready key has not been picked up for more than ${scheduleLimitMs / 1000} s`)
    }
    if (overdueMs > scheduleLimitMs) report(`a delayed key is overdue by more than ${scheduleLimitMs / 1000} s`)
  }
  const [first, ...others] = overdue(clock.wall() - renewalLimitMs)
  if (first !== undefined) {
    const more = others.length === 0 ? '' : ` and of ${others.length} more`
    stuck.push(`scheduler: the renewal of ${first}${more} is overdue and not queued`)
  }
  return stuck
}

/** `/healthz`: 500 while a part is stuck, naming it; `/readyz`: 503 until the caches have synced. */
export function probeRoutes(sources: ProbeSources): Routes {
  let isHealthy = true
  return {
    '/healthz': () => {
      const stuck = stuckParts(sources)
      // The kubelet restarts the process without saying why.
      if (isHealthy && stuck.length > 0) sources.log.error({ stuck }, 'liveness probe failed')
      isHealthy = stuck.length === 0
      return isHealthy ? { status: 200, body: 'ok\n' } : { status: 500, body: `${stuck.join('\n')}\n` }
    },
    '/readyz': () =>
      sources.hasSynced() ? { status: 200, body: 'ok\n' } : { status: 503, body: 'caches not synced\n' },
  }
}
