import type { ConditionStatus } from '../api/v1alpha1/conditions.ts'
import type { Problem } from '../api/v1alpha1/problem.ts'
import { type Reason, renewalStatusFor } from '../api/v1alpha1/reasons.ts'
import { disputeProblem } from '../observe/disputed-targets.ts'
import { firstOutOfSyncTarget, type OutOfSyncTarget } from '../observe/drifted-targets.ts'
import { changedInput, inputsOf } from '../observe/inputs.ts'
import { type Observed, tokenOnTargets } from '../observe/observed.ts'
import { joinTargetProblems, targetProblem } from '../observe/target-problems.ts'
import { holdsForeignToken } from '../observe/token-origin.ts'
import { secretsNamed, targetsWithoutToken, unusedTokenProblem } from '../observe/token-use.ts'
import { validUntil } from '../observe/validity.ts'

export interface ConditionValue {
  readonly status: ConditionStatus
  readonly reason: Reason
  readonly message: string
}

export interface Assessment {
  readonly ready: ConditionValue
  readonly renewalHealthy: ConditionValue
  /** Present while the operator works on the resource. */
  readonly reconciling: ConditionValue | undefined
  /** Present when the user must act. */
  readonly stalled: ConditionValue | undefined
}

/** The conditions that the observation calls for. Messages hold no counts and no time left, so that they change only with the cause. */
export function assess(observed: Observed, problem: Problem | undefined, now: number): Assessment {
  const failure = problem ?? refusal(observed)
  const targetTrouble = joinTargetProblems(presentTargetProblems(observed))
  const dispute = disputeProblem(observed, now)
  const ready = assessReady(observed, { cause: targetTrouble ?? failure, targetTrouble, dispute }, now)
  const renewalHealthy = assessRenewal(observed, problem)
  const leftover = joinTargetProblems(removedTargetProblems(observed))
  const unused = observed.credential.spec.suspend ? undefined : unusedTokenProblem(observed)
  const trouble = [targetTrouble, failure, leftover, dispute, unused].find(
    (candidate) => candidate?.class === 'userMustAct',
  )
  const work = ready.status === 'True' ? (leftover ?? targetTrouble ?? pendingSpec(observed, failure)) : ready
  const isIdle = trouble !== undefined || observed.credential.spec.suspend
  return {
    ready,
    renewalHealthy,
    stalled: trouble === undefined ? undefined : conditionValue('True', trouble.reason, trouble.message),
    reconciling: isIdle || work === undefined ? undefined : conditionValue('True', work.reason, work.message),
  }
}

/** Why the last attempt failed; where the gateway refused a value, with the key that holds it. */
function refusal({ application, credential: { spec } }: Observed): Problem | undefined {
  const failure = application?.failure
  if (failure === undefined) return undefined
  const at = (field: string, { key, name }: { readonly key: string; readonly name: string }): Problem => {
    return { ...failure, message: `${field}: key ${key} of Secret ${name}: ${failure.message}` }
  }
  if (failure.reason === 'AppKeyNotFound') return at('spec.appKeyRef', spec.appKeyRef)
  return failure.reason === 'InvalidAppSecret' ? at('spec.appSecretRef', spec.appSecretRef) : failure
}

/** What can keep a resource from being Ready. */
interface Troubles {
  readonly cause: Problem | undefined
  readonly targetTrouble: Problem | undefined
  readonly dispute: Problem | undefined
}

function assessReady(observed: Observed, { cause, dispute, targetTrouble }: Troubles, now: number): ConditionValue {
  const { spec } = observed.credential
  const token = tokenOnTargets(observed)
  const isValid = now < (validUntil(observed) ?? now)
  if (spec.suspend) return assessSuspended(observed, isValid)
  if (dispute !== undefined && isValid) return conditionValue('False', dispute.reason, dispute.message)
  const lacking = firstOutOfSyncTarget(observed)
  if (targetTrouble !== undefined && !(isValid && lacking === undefined)) {
    return conditionValue('False', targetTrouble.reason, targetTrouble.message)
  }
  if (isValid && lacking !== undefined) {
    return outOfSync(lacking, cause)
  }
  if (isValid && !holdsForeignToken(observed)) {
    const unused = unusedTokenProblem(observed)
    return unused === undefined
      ? conditionValue('True', 'Synced', syncedMessage(observed))
      : conditionValue('False', unused.reason, unused.message)
  }
  return token !== undefined && !isValid ? tokenExpired(cause) : noToken(cause)
}

function syncedMessage(observed: Observed): string {
  const without = targetsWithoutToken(observed)
  const count = observed.credential.spec.targets.length - without.length
  const holding = `${count} ${count === 1 ? 'target holds' : 'targets hold'} a valid token`
  return without.length === 0 ? holding : `${holding}; no template of ${secretsNamed(without)} uses accessToken`
}

function tokenExpired(cause: Problem | undefined): ConditionValue {
  const why = cause === undefined ? 'the operator asks the gateway for a new one' : cause.message
  return conditionValue('False', 'TokenExpired', `the token on the targets has expired: ${why}`)
}

function noToken(cause: Problem | undefined): ConditionValue {
  return cause === undefined
    ? conditionValue('False', 'WaitingForToken', 'the operator asks the gateway for a token')
    : conditionValue('False', cause.reason, cause.message)
}

function outOfSync({ isDrifted, name }: OutOfSyncTarget, cause: Problem | undefined): ConditionValue {
  const what = isDrifted
    ? `spec.targets: Secret ${name} was changed by another writer; it is corrected once the token is known again`
    : `spec.targets: Secret ${name} is not written yet as the spec asks for`
  return cause === undefined
    ? conditionValue('False', 'WaitingForToken', what)
    : conditionValue('False', cause.reason, `${what}: ${cause.message}`)
}

/** Ready of a suspended resource: no call and no write is made, and the state of the targets is reported all the same. */
function assessSuspended(observed: Observed, isValid: boolean): ConditionValue {
  if (tokenOnTargets(observed) === undefined) {
    return conditionValue('False', 'Suspended', 'spec.suspend is true: the operator asks for no token')
  }
  if (!isValid) {
    return conditionValue(
      'False',
      'TokenExpired',
      'the token on the targets has expired, and spec.suspend is true: it is not renewed',
    )
  }
  const lacking = firstOutOfSyncTarget(observed)
  if (lacking !== undefined) {
    const what = `Secret ${lacking.name} ${lacking.isDrifted ? 'no longer holds the token' : 'is not as the spec asks for'}`
    return conditionValue('False', 'Suspended', `spec.suspend is true: ${what}, and the operator writes nothing`)
  }
  if (holdsForeignToken(observed)) {
    const what = 'the targets hold a token of another gateway or application, and the operator asks for none'
    return conditionValue('False', 'Suspended', `spec.suspend is true: ${what}`)
  }
  return conditionValue('True', 'Suspended', 'spec.suspend is true: the token is valid and will not be renewed')
}

function assessRenewal(observed: Observed, problem: Problem | undefined): ConditionValue {
  const { application, credential } = observed
  for (const failure of [problem, refusal(observed)]) {
    const status = failure === undefined ? undefined : renewalStatusFor(failure.reason)
    if (failure !== undefined && status !== undefined) return conditionValue(status, failure.reason, failure.message)
  }
  if (credential.spec.suspend) {
    return conditionValue('Unknown', 'Suspended', 'spec.suspend is true: the token is not renewed')
  }
  if (application?.token === undefined) {
    // A renewal that failed is not healthy before one works: the cause may be mended, the token is still the old one.
    const hasFailed = credential.status.conditions.some(({ status, type }) => {
      return type === 'RenewalHealthy' && status === 'False'
    })
    const what = 'the operator asks the gateway for a token'
    return conditionValue(hasFailed ? 'False' : 'Unknown', 'WaitingForToken', what)
  }
  if (application.isRefreshMissing && credential.spec.renewalMethod === 'Auto') {
    return conditionValue(
      'True',
      'RefreshNotSupported',
      'the gateway has no refresh (HTTP 404 or 405): a new token is fetched when the old one expires, so up to a second of expired token is inherent',
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

function presentTargetProblems(observed: Observed): Map<string, Problem> {
  const { suspend, targets } = observed.credential.spec
  const problems = new Map<string, Problem>()
  for (const target of targets) {
    // While suspended, only a changed deletionPolicy is written.
    const problem = suspend ? observed.targetProblems.get(target.name) : targetProblem(observed, target)
    if (problem !== undefined) problems.set(target.name, problem)
  }
  return problems
}

/** The present spec is not on a target yet, though the target holds a valid token. */
function pendingSpec(
  observed: Observed,
  failure: Problem | undefined,
): Pick<ConditionValue, 'reason' | 'message'> | undefined {
  const { credential, record } = observed
  const pending = credential.spec.targets.find(({ name }) => {
    const recorded = record.get(name)
    if (recorded === undefined || recorded.inputs === inputsOf(observed, name)) return false
    return changedInput(recorded.inputs, inputsOf(observed, name)) === 'SpecChanged'
  })
  if (pending === undefined) return undefined
  const message = `spec.targets: Secret ${pending.name} is not written yet as the spec asks for`
  return failure === undefined
    ? { reason: 'WaitingForToken', message }
    : { reason: failure.reason, message: `${message}: ${failure.message}` }
}

/** Why targets that left the spec could not be removed. */
function removedTargetProblems({ credential, targetProblems }: Observed): Map<string, Problem> {
  const isRemoved = (name: string): boolean => credential.spec.targets.every((target) => target.name !== name)
  return new Map([...targetProblems].filter(([name]) => isRemoved(name)))
}

function conditionValue(status: ConditionStatus, reason: Reason, message: string): ConditionValue {
  return { status, reason, message }
}
