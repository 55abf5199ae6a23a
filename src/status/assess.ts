import type { ConditionStatus } from '../api/v1alpha1/conditions.ts'
import type { Reason } from '../api/v1alpha1/reasons.ts'
import { firstAlteredTarget } from '../reconcile/altered-targets.ts'
import { isProblem, type Observed, type Problem, publishedToken } from '../reconcile/observed.ts'
import { targetProblem } from '../reconcile/target-checks.ts'
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
  const trouble = [targetTrouble, failure].find((candidate) => candidate?.class === 'userMustAct')
  const isSuspended = observed.credential.spec.suspend
  return {
    ready,
    renewalHealthy,
    stalled: trouble === undefined ? undefined : verdict('True', trouble.reason, trouble.message),
    reconciling:
      trouble !== undefined || isSuspended || ready.status === 'True'
        ? undefined
        : verdict('True', ready.reason, ready.message),
  }
}

function assessReady(
  observed: Observed,
  cause: Problem | undefined,
  targetTrouble: Problem | undefined,
  now: number,
): Verdict {
  const { credential } = observed
  const token = publishedToken(observed)
  const until = validUntil(observed)
  const isValid = token !== undefined && until !== undefined && now < until
  const altered = firstAlteredTarget(observed)
  if (targetTrouble !== undefined && !(isValid && altered === undefined)) {
    return verdict('False', targetTrouble.reason, targetTrouble.message)
  }
  if (isValid && altered !== undefined && !credential.spec.suspend) {
    const what = `spec.targets: Secret ${altered} was changed by somebody else; it is put right when the token is known again`
    return cause === undefined
      ? verdict('False', 'WaitingForToken', what)
      : verdict('False', cause.reason, `${what}: ${cause.message}`)
  }
  if (isValid && !isOfAnotherApplication(observed)) {
    if (credential.spec.suspend) {
      return verdict('True', 'Suspended', 'spec.suspend is true: the token is valid and will not be renewed')
    }
    const { length } = credential.spec.targets
    return verdict('True', 'Synced', `${length} ${length === 1 ? 'target holds' : 'targets hold'} a valid token`)
  }
  if (credential.spec.suspend) {
    return token === undefined
      ? verdict('False', 'Suspended', 'spec.suspend is true: no token is asked for')
      : verdict('False', 'TokenExpired', 'the token has expired, and spec.suspend is true: it is not renewed')
  }
  if (token !== undefined && !isValid) {
    const why = cause === undefined ? 'a new one is being asked for' : cause.message
    return verdict('False', 'TokenExpired', `the token has expired: ${why}`)
  }
  if (cause !== undefined) return verdict('False', cause.reason, cause.message)
  return verdict('False', 'WaitingForToken', 'the gateway is being asked for a token')
}

function assessRenewal({ application, credential }: Observed, failure: Problem | undefined): Verdict {
  if (failure !== undefined) return verdict('False', failure.reason, failure.message)
  if (credential.spec.suspend) return verdict('Unknown', 'Suspended', 'spec.suspend is true: nothing is renewed')
  if (application?.token === undefined)
    return verdict('Unknown', 'WaitingForToken', 'the gateway is being asked for a token')
  if (application.isRefreshMissing && application.method === 'Get' && credential.spec.renewalMethod === 'Auto') {
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

/** The targets hold a token, but of an application that the spec or the source Secret does not name any more. */
function isOfAnotherApplication({ credential, gatewayUrl, record, sources }: Observed): boolean {
  const appKey = sources === undefined || isProblem(sources.values) ? undefined : sources.values.appKey
  return credential.spec.targets.some(({ name }) => {
    const token = record.get(name)?.token
    if (token === undefined) return false
    return (
      token.gatewayUrl !== gatewayUrl ||
      (token.appKey !== undefined && appKey !== undefined && !token.appKey.equals(appKey))
    )
  })
}

function verdict(status: ConditionStatus, reason: Reason, message: string): Verdict {
  return { status, reason, message }
}
