import type { WorkQueueSnapshot } from '../kubernetes/work-queue.ts'

/** What the probes look at. */
export interface ProbeSources {
  readonly hasSynced: () => boolean
  /** When the watch that was heard of least lately was heard of, steady. */
  readonly quietestContactAt: () => number
  /** Of the queues that this replica works on; none while another one leads. */
  readonly queues: () => Iterable<WorkQueueSnapshot>
  /** Steady. */
  readonly now: () => number
}

/** Watches bring a bookmark each minute, and are given up after 2.5 minutes of silence; retries come within 30 s. */
const silenceLimitMs = 5 * 60_000
/** No call takes longer than 30 s, an attempt has at most five of them, and a pass some more. */
const workLimitMs = 5 * 60_000
/** Keys that are ready are picked up at once, unless all workers hang. */
const waitLimitMs = 5 * 60_000

/** What is stuck past its bound; empty when all is well. */
export function stuckParts({ now, queues, quietestContactAt }: ProbeSources): string[] {
  const stuck: string[] = []
  if (now() - quietestContactAt() > silenceLimitMs) {
    stuck.push(`no word from the API server for more than ${silenceLimitMs / 1000} s`)
  }
  for (const { longestRunningMs, name, oldestReadyMs } of queues()) {
    if (longestRunningMs > workLimitMs)
      stuck.push(`queue ${name}: one key is worked on for more than ${workLimitMs / 1000} s`)
    if (oldestReadyMs > waitLimitMs)
      stuck.push(`queue ${name}: a ready key waits for more than ${waitLimitMs / 1000} s`)
  }
  return stuck
}
