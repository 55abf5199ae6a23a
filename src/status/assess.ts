import type { ConditionStatus } from '../api/v1alpha1/conditions.ts'
import type { Problem } from '../api/v1alpha1/problem.ts'
import type { Reason } from '../api/v1alpha1/reasons.ts'
import { firstOutOfSyncTarget } from '../observe/drifted-targets.ts'
import { type Observed, tokenOnTargets } from '../observe/observed.ts'
import { targetProblem } from '../observe/target-problems.ts'
import { holdsForeignToken } from '../observe/token-origin.ts'
import { validUntil } from '../observe/validity.ts'

export interface ConditionValue {
  readonly status: ConditionStatus
  readonly reason: Reason
  readonly message: string
}

export interface Assessment {
  readonly ready: ConditionValue
  readonly renewalHealthy: ConditionValue
  /** Present when the operator works on it. */
  readonly reconciling: ConditionValue | undefined
  /** Present when the user must act. */
  readonly stalled: ConditionValue | undefined
}

/** The conditions as they should be. Messages hold no count and no time left, so that they change only with the matter. */
export function assess(observed: Observed, problem: Problem | undefined, now: number): Assessment {
  const failure: Problem | undefined = problem ?? observed.application?.failure
  const targetTrouble = firstTargetProblem(observed)
  const ready = assessReady(observed, targetTrouble ?? failure, targetTrouble, now)
  // A token that could not be written was not renewed, as its consumers see it.
  const writeFailure = targetTrouble?.reason === 'TargetWriteFailed' ? targetTrouble : undefined
  const renewalHealthy = assessRenewal(observed, failure ?? writeFailure)
  const leftover = firstRemovedTargetProblem(observed)
  const trouble = [targetTrouble, failure, leftover].find((candidate) => candidate?.class === 'userMustAct')
  const work = ready.status === 'True' ? leftover : ready
  const isIdle = trouble !== undefined || observed.credential.spec.suspend
  return {
    ready,
    renewalHealthy,
    stalled: trouble === undefined ? undefined : conditionValue('True', trouble.reason, trouble.message),
    reconciling: isIdle || work === undefined ? undefined : conditionValue('True', work.reason, work.message),
  }
}

function assessReady(
  observed: Observed,
  cause: Problem | undefined,
  targetTrouble: Problem | undefined,
  now: number,
): ConditionValue {
  const { spec } = observed.credential
  const token = tokenOnTargets(observed)
  const isValid = now < (validUntil(observed) ?? now)
  if (spec.suspend) return assessSuspended(observed, isValid)
  const lacking = firstOutOfSyncTarget(observed)
  if (targetTrouble !== undefined && !(isValid && lacking === undefined)) {
    return conditionValue('False', targetTrouble.reason, targetTrouble.message)
  }
  if (isValid && lacking !== undefined) {
    const { isDrifted, name } = lacking
    const what = isDrifted
      ? `spec.targets: Secret ${name} was changed by somebody else; it is put right when the token is known again`
      : `spec.targets: Secret ${name} is not written yet as the spec has it`
    return cause === undefined
      ? conditionValue('False', 'WaitingForToken', what)
      : conditionValue('False', cause.reason, `${what}: ${cause.message}`)
  }
  if (isValid && !holdsForeignToken(observed)) {
    const { length } = spec.targets
    return conditionValue('True', 'Synced', `${length} ${length === 1 ? 'target holds' : 'targets hold'} a valid token`)
  }
  if (token !== undefined && !isValid) {
    const why = cause === undefined ? 'a new one is being asked for' : cause.message
    return conditionValue('False', 'TokenExpired', `the token has expired: ${why}`)
  }
  if (cause !== undefined) return conditionValue('False', cause.reason, cause.message)
  return conditionValue('False', 'WaitingForToken', 'the gateway is being asked for a token')
}

/** Nothing is asked for and nothing is put right; what the targets hold is told all the same. */
function assessSuspended(observed: Observed, isValid: boolean): ConditionValue {
  if (tokenOnTargets(observed) === undefined) {
    return conditionValue('False', 'Suspended', 'spec.suspend is true: no token is asked for')
  }
  if (!isValid) {
    return conditionValue('False', 'TokenExpired', 'the token has expired, and spec.suspend is true: it is not renewed')
  }
  const lacking = firstOutOfSyncTarget(observed)
  if (lacking !== undefined) {
    const what = `Secret ${lacking.name} ${lacking.isDrifted ? 'does not hold the token any more' : 'is not as the spec has it'}`
    return conditionValue('False', 'Suspended', `spec.suspend is true: ${what}, and nothing is written`)
  }
  if (holdsForeignToken(observed)) {
    const what = 'the targets hold a token of another gateway or application, and none is asked for'
    return conditionValue('False', 'Suspended', `spec.suspend is true: ${what}`)
  }
  return conditionValue('True', 'Suspended', 'spec.suspend is true: the token is valid and will not be renewed')
}

function assessRenewal({ application, credential }: Observed, failure: Problem | undefined): ConditionValue {
  if (failure !== undefined) return conditionValue('False', failure.reason, failure.message)
  if (credential.spec.suspend) return conditionValue('Unknown', 'Suspended', 'spec.suspend is true: nothing is renewed')
  if (application?.token === undefined) {
    return conditionValue('Unknown', 'WaitingForToken', 'the gateway is being asked for a token')
  }
  if (application.isRefreshMissing && credential.spec.renewalMethod === 'Auto') {
    return conditionValue(
      'True',
      'RefreshNotSupported',
      'the gateway has no refresh (HTTP 404): a new token is fetched when the old one expires, so up to a second of expired token is inherent',
    )
  }
  if (application.isClamped) {
    return conditionValue(
      'True',
      'RenewBeforeClamped',
      `spec.renewBefore ${credential.spec.renewBefore ?? ''} is more than half of the lifetime of a token: half is used`,
    )
  }
  return conditionValue('True', 'Synced', 'the last attempt to get or refresh the token worked')
}

function firstTargetProblem(observed: Observed): Problem | undefined {
  if (observed.credential.spec.suspend) return undefined
  for (const target of observed.credential.spec.targets) {
    const problem = targetProblem(observed, target)
    if (problem !== undefined) return problem
  }
  return undefined
}

/** Something of a target that left the spec could not be removed. */
function firstRemovedTargetProblem({ credential, targetProblems }: Observed): Problem | undefined {
  const isFormer = (name: string): boolean => credential.spec.targets.every((target) => target.name !== name)
  return [...targetProblems].find(([name]) => isFormer(name))?.[1]
}

function conditionValue(status: ConditionStatus, reason: Reason, message: string): ConditionValue {
  return { status, reason, message }
}
