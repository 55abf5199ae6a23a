import type { ConditionStatus } from '../api/v1alpha1/conditions.ts'
import type { Reason } from '../api/v1alpha1/reasons.ts'
import { firstLackingTarget } from '../reconcile/altered-targets.ts'
import { type Observed, type Problem, publishedToken } from '../reconcile/observed.ts'
import { targetProblem } from '../reconcile/target-problems.ts'
import { holdsForeignToken } from '../reconcile/token-origin.ts'
import { validUntil } from '../reconcile/wake.ts'

export interface Verdict {
  readonly status: ConditionStatus
  readonly reason: Reason
  readonly message: string
}

export interface Assessment {
  readonly ready: Verdict
  readonly renewalHealthy: Verdict
  /** Present when the operator works on it. */
  readonly reconciling: Verdict | undefined
  /** Present when the user must act. */
  readonly stalled: Verdict | undefined
}

/** The conditions as they should be. Messages hold no count and no time left, so that they change only with the matter. */
export function assess(observed: Observed, problem: Problem | undefined, now: number): Assessment {
  const failure: Problem | undefined = problem ?? observed.application?.failure
  const targetTrouble = firstTargetProblem(observed)
  const ready = assessReady(observed, targetTrouble ?? failure, targetTrouble, now)
  // A token that could not be written was not renewed, as its consumers see it.
  const writeFailure = targetTrouble?.reason === 'TargetWriteFailed' ? targetTrouble : undefined
  const renewalHealthy = assessRenewal(observed, failure ?? writeFailure)
  const leftover = firstFormerTargetProblem(observed)
  const trouble = [targetTrouble, failure, leftover].find((candidate) => candidate?.class === 'userMustAct')
  const work = ready.status === 'True' ? leftover : ready
  const isIdle = trouble !== undefined || observed.credential.spec.suspend
  return {
    ready,
    renewalHealthy,
    stalled: trouble === undefined ? undefined : verdict('True', trouble.reason, trouble.message),
    reconciling: isIdle || work === undefined ? undefined : verdict('True', work.reason, work.message),
  }
}

function assessReady(
  observed: Observed,
  cause: Problem | undefined,
  targetTrouble: Problem | undefined,
  now: number,
): Verdict {
  const { spec } = observed.credential
  const token = publishedToken(observed)
  const isValid = now < (validUntil(observed) ?? now)
  if (spec.suspend) return assessSuspended(observed, isValid)
  const lacking = firstLackingTarget(observed)
  if (targetTrouble !== undefined && !(isValid && lacking === undefined)) {
    return verdict('False', targetTrouble.reason, targetTrouble.message)
  }
  if (isValid && lacking !== undefined) {
    const { isAltered, name } = lacking
    const what = isAltered
      ? `spec.targets: Secret ${name} was changed by somebody else; it is put right when the token is known again`
      : `spec.targets: Secret ${name} is not written yet as the spec has it`
    return cause === undefined
      ? verdict('False', 'WaitingForToken', what)
      : verdict('False', cause.reason, `${what}: ${cause.message}`)
  }
  if (isValid && !holdsForeignToken(observed)) {
    const { length } = spec.targets
    return verdict('True', 'Synced', `${length} ${length === 1 ? 'target holds' : 'targets hold'} a valid token`)
  }
  if (token !== undefined && !isValid) {
    const why = cause === undefined ? 'a new one is being asked for' : cause.message
    return verdict('False', 'TokenExpired', `the token has expired: ${why}`)
  }
  if (cause !== undefined) return verdict('False', cause.reason, cause.message)
  return verdict('False', 'WaitingForToken', 'the gateway is being asked for a token')
}

/** Nothing is asked for and nothing is put right; what the targets hold is told all the same. */
function assessSuspended(observed: Observed, isValid: boolean): Verdict {
  if (publishedToken(observed) === undefined) {
    return verdict('False', 'Suspended', 'spec.suspend is true: no token is asked for')
  }
  if (!isValid) {
    return verdict('False', 'TokenExpired', 'the token has expired, and spec.suspend is true: it is not renewed')
  }
  const lacking = firstLackingTarget(observed)
  if (lacking !== undefined) {
    const what = `Secret ${lacking.name} ${lacking.isAltered ? 'does not hold the token any more' : 'is not as the spec has it'}`
    return verdict('False', 'Suspended', `spec.suspend is true: ${what}, and nothing is written`)
  }
  if (holdsForeignToken(observed)) {
    const what = 'the targets hold a token of another gateway or application, and none is asked for'
    return verdict('False', 'Suspended', `spec.suspend is true: ${what}`)
  }
  return verdict('True', 'Suspended', 'spec.suspend is true: the token is valid and will not be renewed')
}

function assessRenewal({ application, credential }: Observed, failure: Problem | undefined): Verdict {
  if (failure !== undefined) return verdict('False', failure.reason, failure.message)
  if (credential.spec.suspend) return verdict('Unknown', 'Suspended', 'spec.suspend is true: nothing is renewed')
  if (application?.token === undefined)
    return verdict('Unknown', 'WaitingForToken', 'the gateway is being asked for a token')
  if (application.isRefreshMissing && credential.spec.renewalMethod === 'Auto') {
    return verdict(
      'True',
      'RefreshNotSupported',
      'the gateway has no refresh (HTTP 404): a new token is fetched when the old one expires, so up to a second of expired token is inherent',
    )
  }
  if (application.isClamped) {
    return verdict(
      'True',
      'RenewBeforeClamped',
      `spec.renewBefore ${credential.spec.renewBefore ?? ''} is more than half of the lifetime of a token: half is used`,
    )
  }
  return verdict('True', 'Synced', 'the last attempt to get or refresh the token worked')
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
function firstFormerTargetProblem({ credential, targetProblems }: Observed): Problem | undefined {
  const isFormer = (name: string): boolean => credential.spec.targets.every((target) => target.name !== name)
  return [...targetProblems].find(([name]) => isFormer(name))?.[1]
}

function verdict(status: ConditionStatus, reason: Reason, message: string): Verdict {
  return { status, reason, message }
}
