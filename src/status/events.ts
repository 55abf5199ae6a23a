import type { Condition } from '../api/v1alpha1/conditions.ts'
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
  const events: EventInput[] = []
  const [wasReady, isReady] = [find(before, 'Ready'), find(after, 'Ready')]
  const [wasHealthy, isHealthy] = [find(before, 'RenewalHealthy'), find(after, 'RenewalHealthy')]
  const wasStalled = find(before, 'Stalled')
  const isStalled = find(after, 'Stalled')

  if (isReady?.status === 'True' && wasReady?.status !== 'True' && isReady.reason === 'Synced') {
    events.push({ type: 'Normal', reason: 'Synced', action: 'Sync', note: isReady.message })
  } else if (isHealthy?.status === 'True' && wasHealthy?.status === 'False') {
    events.push({ type: 'Normal', reason: 'Renewed', action: 'Renew', note: 'the token is renewed again' })
  }
  const hasFailedAgain = isHealthy?.status === 'False' && failuresOf(after) > failuresOf(before)
  const isStalledByRenewal = isStalled !== undefined && isStalled.reason === isHealthy?.reason
  if (isStalled !== undefined && (!isSame(isStalled, wasStalled) || (isStalledByRenewal && hasFailedAgain))) {
    events.push(warning(isStalled, 'Sync'))
  }
  // Stalled has its own event, above.
  const isFailure = isHealthy?.status === 'False' && (hasFailedAgain || !isSame(isHealthy, wasHealthy))
  if (isFailure && !isStalledByRenewal) events.push(warning(isHealthy, 'Renew'))
  const isClamped = isHealthy?.reason === 'RenewBeforeClamped' && wasHealthy?.reason !== 'RenewBeforeClamped'
  if (isClamped) events.push(warning(isHealthy, 'Renew'))
  const isExpired = isReady?.reason === 'TokenExpired' && wasReady?.reason !== 'TokenExpired'
  if (isExpired) events.push(warning(isReady, 'Renew'))
  const isMissing = isReady?.reason === 'TargetMissing' && wasReady?.reason !== 'TargetMissing'
  if (isMissing) events.push(warning(isReady, 'Sync'))
  const [wasPropagated, isPropagated] = [find(before, 'Propagated'), find(after, 'Propagated')]
  const isPropagationNews = isPropagated !== undefined && isPropagated.reason !== 'Propagated'
  if (isPropagationNews && !isSame(isPropagated, wasPropagated)) events.push(warning(isPropagated, 'Propagate'))
  return events
}

function find({ conditions }: CredentialStatus, type: string): Condition | undefined {
  return conditions.find((condition) => condition.type === type)
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
