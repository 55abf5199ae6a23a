import type { ObjectKey } from '../kubernetes/types.ts'
import type { WorkQueueSnapshot } from '../kubernetes/work-queue.ts'
import type { Clock } from '../lib/clock.ts'
import type { Routes } from './http-server.ts'
import type { Log } from '../lib/log.ts'

/** What the probes look at. */
export interface ProbeSources {
  readonly clock: Pick<Clock, 'now' | 'wall'>
  readonly log: Log
  readonly hasSynced: () => boolean
  /** When the watch that was heard of least lately was heard of, monotonic clock. */
  readonly oldestContactAt: () => number
  /** When the lease was last tried for or renewed, monotonic clock; undefined without leader election. */
  readonly electedAt: () => number | undefined
  /** Whether the queues are this replica's to work on; what gathers in them while another one leads is no sign. */
  readonly isWorking: () => boolean
  readonly queues: () => Iterable<WorkQueueSnapshot>
  /** Credentials whose renewal was due before this moment (wall clock), and which no queue holds. */
  readonly overdue: (dueBefore: number) => Iterable<ObjectKey>
}

/** Watches bring a bookmark each minute, and are given up after 2.5 minutes of silence; retries come within 60 s. */
const silenceLimitMs = 5 * 60_000
/** A round of the election takes 10 s at most, and the pause after it 4.4 s. */
const electionLimitMs = 60_000
/** Timers fire within milliseconds, and a free worker takes a ready key at once. */
const scheduleLimitMs = 60_000
/** By then any attempt has begun, or is queued. */
const renewalLimitMs = 5 * 60_000

/**
 * What is stuck past its bound, in words; empty when all is well. Stuck is what does not go on: an API server or a
 * gateway that is down is tried again and again, and no restart would mend it. Events are no part of this; they are
 * hints that nothing waits for.
 */
export function stuckParts(sources: ProbeSources): string[] {
  const { clock, electedAt, isWorking, overdue, queues, oldestContactAt } = sources
  const now = clock.now()
  const stuck: string[] = []
  if (now - oldestContactAt() > silenceLimitMs) {
    stuck.push(`watch: no word from the API server, and no try, for more than ${silenceLimitMs / 1000} s`)
  }
  if (now - (electedAt() ?? now) > electionLimitMs) {
    stuck.push(`leader election: the lease was not tried for or renewed for more than ${electionLimitMs / 1000} s`)
  }
  if (!isWorking()) return stuck
  for (const { maxRunningMs, name, neglectedMs, overdueMs, overrunMs } of queues()) {
    const say = (what: string): void => void stuck.push(`queue ${name}: ${what}`)
    if (overrunMs > 0) say(`one key is worked on for ${Math.round(maxRunningMs / 1000)} s`)
    if (neglectedMs > scheduleLimitMs) say(`a ready key is not picked up for more than ${scheduleLimitMs / 1000} s`)
    if (overdueMs > scheduleLimitMs) say(`a delayed key is overdue by more than ${scheduleLimitMs / 1000} s`)
  }
  const [first, ...others] = overdue(clock.wall() - renewalLimitMs)
  if (first !== undefined) {
    const more = others.length === 0 ? '' : ` and of ${others.length} more`
    stuck.push(`scheduler: the renewal of ${first}${more} is overdue, and none is planned`)
  }
  return stuck
}

/** `/healthz`: 500 while something is stuck, with what it is; `/readyz`: 503 until the caches are complete. */
export function probeRoutes(sources: ProbeSources): Routes {
  let isHealthy = true
  return {
    '/healthz': () => {
      const stuck = stuckParts(sources)
      // Whoever restarts the process does not tell why.
      if (isHealthy && stuck.length > 0) sources.log.error({ stuck }, 'stuck; the liveness probe fails')
      isHealthy = stuck.length === 0
      return isHealthy ? { status: 200, body: 'ok\n' } : { status: 500, body: `${stuck.join('\n')}\n` }
    },
    '/readyz': () =>
      sources.hasSynced() ? { status: 200, body: 'ok\n' } : { status: 503, body: 'caches are not complete yet\n' },
  }
}
