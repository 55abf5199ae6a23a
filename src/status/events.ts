import type { Condition } from '../api/v1alpha1/conditions.ts'
import type { Reason } from '../api/v1alpha1/reasons.ts'
import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'

/** One event, without the object that it is about. */
export interface EventInput {
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  /** `action` of events.k8s.io/v1: what the operator was doing. */
  readonly action: 'Sync' | 'Renew' | 'ReadSources' | 'Propagate'
  readonly note: string
}

/**
 * The events for the change from one status to the next: first sync, failures, recovery, conflicts. Routine renewals
 * have none. A continuing failure has one for each status that counts it; the recorder turns those into a series.
 */
export function eventsBetween(before: CredentialStatus, after: CredentialStatus): EventInput[] {
  const ready = changeOf(before, after, 'Ready')
  const healthy = changeOf(before, after, 'RenewalHealthy')
  const stalled = changeOf(before, after, 'Stalled')
  const reconciling = changeOf(before, after, 'Reconciling')
  const hasFailedAgain = healthy.after?.status === 'False' && failuresOf(after) > failuresOf(before)
  return [
    ...successEvents({ ready, healthy, stalled, reconciling }),
    ...failureEvents(stalled, healthy, hasFailedAgain),
    ...enterEvents(healthy, 'RenewBeforeClamped', 'Renew'),
    ...enterEvents(ready, 'TokenExpired', 'Renew'),
    ...enterEvents(ready, 'TargetMissing', 'Sync'),
    ...enterEvents(reconciling, 'TargetWriteFailed', 'Sync'),
    ...propagationEvents(changeOf(before, after, 'Propagated')),
  ]
}

/** A condition in two statuses. */
interface Change {
  readonly before: Condition | undefined
  readonly after: Condition | undefined
}

type ChangedType = 'ready' | 'healthy' | 'stalled' | 'reconciling'

function changeOf(before: CredentialStatus, after: CredentialStatus, type: string): Change {
  const find = ({ conditions }: CredentialStatus): Condition | undefined => conditions.find((one) => one.type === type)
  return { before: find(before), after: find(after) }
}

function successEvents({ healthy, ready, reconciling, stalled }: Readonly<Record<ChangedType, Change>>): EventInput[] {
  const isSynced = ready.after?.status === 'True' && ready.after.reason === 'Synced'
  if (isSynced && ready.before?.status !== 'True') return [synced(ready.after)]
  if (healthy.after?.status === 'True' && healthy.before?.status === 'False') {
    return [{ type: 'Normal', reason: 'Renewed', action: 'Renew', note: 'the token is renewed again' }]
  }
  return isSynced && isMended({ healthy, reconciling, stalled }) ? [synced(ready.after)] : []
}

/** Without an event for it, a Warning would be the last one though nothing is left to do. */
function isMended({ healthy, reconciling, stalled }: Readonly<Record<Exclude<ChangedType, 'ready'>, Change>>): boolean {
  const hasWarned = stalled.before !== undefined || reconciling.before?.reason === 'TargetWriteFailed'
  const isOver = stalled.after === undefined && reconciling.after === undefined
  return hasWarned && isOver && healthy.after?.status !== 'False'
}

function synced({ message }: Condition): EventInput {
  return { type: 'Normal', reason: 'Synced', action: 'Sync', note: message }
}

/** A failed renewal that stalls the resource has one event, that of Stalled. */
function failureEvents(stalled: Change, healthy: Change, hasFailedAgain: boolean): EventInput[] {
  const isStalledByRenewal = stalled.after !== undefined && stalled.after.reason === healthy.after?.reason
  const isNews = ({ after, before }: Change): boolean => after !== undefined && !isSame(after, before)
  const events: EventInput[] = []
  if (stalled.after !== undefined && (isNews(stalled) || (isStalledByRenewal && hasFailedAgain))) {
    events.push(warning(stalled.after, 'Sync'))
  }
  const isWaiting = healthy.after?.reason === 'WaitingForToken'
  if (healthy.after?.status === 'False' && !isWaiting && !isStalledByRenewal && (hasFailedAgain || isNews(healthy))) {
    events.push(warning(healthy.after, 'Renew'))
  }
  return events
}

/** An event when a condition comes to have a reason. */
function enterEvents({ after, before }: Change, reason: Reason, action: EventInput['action']): EventInput[] {
  return after?.reason === reason && before?.reason !== reason ? [warning(after, action)] : []
}

function propagationEvents({ after, before }: Change): EventInput[] {
  const isNews = after !== undefined && after.reason !== 'Propagated' && !isSame(after, before)
  return isNews ? [warning(after, 'Propagate')] : []
}

function failuresOf({ consecutiveFailures = 0 }: CredentialStatus): number {
  return consecutiveFailures
}

function isSame(a: Condition, b: Condition | undefined): boolean {
  return a.reason === b?.reason && a.status === b.status
}

function warning({ reason, message }: Condition, action: EventInput['action']): EventInput {
  return { type: 'Warning', reason, action, note: message }
}
