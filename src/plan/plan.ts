import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import { unreadDriftedTargets } from '../observe/drifted-targets.ts'
import type { Problem } from '../api/v1alpha1/problem.ts'
import type { Observed } from '../observe/observed.ts'
import { isSameStatus, nextStatus } from '../status/next-status.ts'
import type { Plan } from './actions.ts'
import { checks } from './checks.ts'
import { requeueAt } from './requeue.ts'

/** A first sync that takes longer than this says so in the status; a quicker one saves that write. */
const quietFirstSyncMs = 1000
/** A higher number of failures is written this often, while the reasons stay. */
const failureCountIntervalMs = 60_000

/**
 * What to do now, given all that is known. Pure: the same observation gives the same plan, and once its actions are
 * done and observed, the next plan is nearer to empty.
 *
 * The checks are asked in their order, and the first that speaks wins: it has something to do, or a reason to stop
 * here. The status is written when nothing else is left to do.
 */
export function plan(observed: Observed, now: number): Plan {
  for (const check of checks) {
    const verdict = check(observed, now)
    switch (verdict?.kind) {
      case undefined:
        continue
      case 'do':
        return { actions: verdict.actions, requeueAt: undefined }
      case 'gone':
        return { actions: [], requeueAt: undefined }
      case 'wait':
        return { actions: [], requeueAt: verdict.until }
      case 'settled':
        return { actions: [], requeueAt: requeueAt(observed, now) }
      case 'stop':
        return report(observed, verdict.problem, now)
    }
  }
  return report(observed, undefined, now)
}

function report(observed: Observed, problem: Problem | undefined, now: number): Plan {
  const altered = unreadDriftedTargets(observed)
  if (altered.length > 0) {
    return { actions: altered.map((name) => ({ do: 'fetchTarget', name })), requeueAt: undefined }
  }
  const { credential, prunedStatus } = observed
  const next = nextStatus(observed, problem, now)
  const wake = requeueAt(observed, now)
  const present =
    prunedStatus !== undefined && isSameStatus(prunedStatus.kept, credential.status)
      ? prunedStatus.written
      : credential.status
  if (isSameStatus(present, next)) return { actions: [], requeueAt: wake }
  const quietUntil = quietUntilOf(observed, problem, next)
  if (now < quietUntil) return { actions: [], requeueAt: Math.min(wake, quietUntil) }
  return { actions: [{ do: 'patchStatus', status: next }], requeueAt: wake }
}

/** Until when a status that is not yet worth a write is held back, monotonic clock. */
function quietUntilOf(observed: Observed, problem: Problem | undefined, next: CredentialStatus): number {
  const { application, credential, firstSeenAt, statusWrittenAt } = observed
  const isUndecided = problem === undefined && application?.token === undefined && application?.failure === undefined
  if (credential.status.conditions.length === 0 && isUndecided) return firstSeenAt + quietFirstSyncMs
  const { consecutiveFailures } = credential.status
  const isFirstFailure = (consecutiveFailures ?? 0) === 0 || next.consecutiveFailures === 0
  const isOneMoreFailure =
    !isFirstFailure &&
    next.consecutiveFailures !== consecutiveFailures &&
    isSameStatus(withoutMessages(credential.status), { ...withoutMessages(next), consecutiveFailures })
  return isOneMoreFailure ? statusWrittenAt + failureCountIntervalMs : Number.NEGATIVE_INFINITY
}

/** What went wrong in detail may be another thing each time: refused, then timed out. */
function withoutMessages(status: CredentialStatus): CredentialStatus {
  return { ...status, conditions: status.conditions.map((condition) => ({ ...condition, message: '' })) }
}
