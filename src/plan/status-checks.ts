import type { Problem } from '../api/v1alpha1/problem.ts'
import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import { nextCorrectionAt } from '../observe/contest.ts'
import { unreadDriftedTargets } from '../observe/drifted-targets.ts'
import type { Observed } from '../observe/observed.ts'
import { isRenewedElsewhere } from '../observe/other-operator.ts'
import { eventsBetween } from '../status/events.ts'
import { isSameStatus, nextStatus } from '../status/next-status.ts'
import { isEquivalentStatus, isWrittenElsewhere } from '../status/shared-status.ts'
import { act, actIfAny, type Verdict } from './verdict.ts'

/** A first sync that takes longer than this is reported as such; a quicker one saves that write. */
const quietFirstSyncMs = 1000
/** A higher number of failures is written this often while the reasons stay the same. */
const failureCountIntervalMs = 60_000
/** While our own renewal is about to confirm the token of another operator, the status waits. */
const ownRenewalPollMs = 1000

export function fetchDriftedTargets(observed: Observed): Verdict | undefined {
  return actIfAny(unreadDriftedTargets(observed).map((name) => ({ do: 'fetchTarget', reason: 'Drift', name })))
}

export function writeStatus(observed: Observed, problem: Problem | undefined, now: number): Verdict | undefined {
  const { credential, prunedStatus } = observed
  const quietFirstUntil = isUndecided(observed, problem) ? observed.firstSeenAt + quietFirstSyncMs : now
  // Whatever the first status is, it waits: nearly all resources have a token by then.
  if (credential.status.conditions.length === 0 && now < quietFirstUntil) return quietPeriod(quietFirstUntil)
  const status = nextStatus(observed, problem, now)
  // An older CRD prunes fields that it does not know: without this comparison every pass would write them again.
  const present =
    prunedStatus !== undefined && isSameStatus(prunedStatus.kept, credential.status)
      ? prunedStatus.written
      : credential.status
  if (isSameStatus(present, status)) return undefined
  const isForeign = isWrittenElsewhere(observed)
  if (isForeign && !observed.isStatusDue && isEquivalentStatus(present, status)) return undefined
  const quietUntil = Math.max(
    quietUntilOf(observed, problem, status),
    isForeign ? contestedUntil(observed, status) : Number.NEGATIVE_INFINITY,
    credential.spec.targets.some(({ name }) => isRenewedElsewhere(observed, name, now))
      ? now + ownRenewalPollMs
      : Number.NEGATIVE_INFINITY,
  )
  if (now < quietUntil) return quietPeriod(quietUntil)
  const events = eventsBetween(credential.status, status)
  return act({ do: 'patchStatus', reason: 'StatusChanged', status, events })
}

/** Where two operators come to different verdicts, each writes its status less and less often; a new token at once. */
function contestedUntil({ statusContest }: Observed, { tokenFingerprint }: CredentialStatus): number {
  return statusContest === undefined || statusContest.fingerprint !== tokenFingerprint
    ? Number.NEGATIVE_INFINITY
    : nextCorrectionAt(statusContest)
}

/** Until when a status that is not worth a write yet is held back, monotonic clock. */
function quietUntilOf(observed: Observed, problem: Problem | undefined, next: CredentialStatus): number {
  const { credential, firstSeenAt, statusWrittenAt } = observed
  if (isUndecided(observed, problem) && isWrittenElsewhere(observed)) return firstSeenAt + quietFirstSyncMs
  const { consecutiveFailures } = credential.status
  const isFirstFailure = (consecutiveFailures ?? 0) === 0 || next.consecutiveFailures === 0
  const isOneMoreFailure =
    !isFirstFailure &&
    next.consecutiveFailures !== consecutiveFailures &&
    isSameStatus(withoutMessages(credential.status), { ...withoutMessages(next), consecutiveFailures })
  return isOneMoreFailure ? statusWrittenAt + failureCountIntervalMs : Number.NEGATIVE_INFINITY
}

/** There is neither a token nor a reason why there is none. */
function isUndecided({ application }: Observed, problem: Problem | undefined): boolean {
  return problem === undefined && application?.token === undefined && application?.failure === undefined
}

function quietPeriod(until: number): Verdict {
  return { kind: 'wait', reason: 'QuietPeriod', until }
}

/** The detail of a failure may differ each time: refused, then timed out. */
function withoutMessages(status: CredentialStatus): CredentialStatus {
  return { ...status, conditions: status.conditions.map((condition) => ({ ...condition, message: '' })) }
}
