import { mergeFinalizer } from '../api/v1alpha1/names.ts'
import type { InvalidObserved, Observed } from '../observe/observed.ts'
import { eventsBetween } from '../status/events.ts'
import { invalidStatus, isSameStatus } from '../status/next-status.ts'
import type { ResourceAction } from './actions.ts'
import { act, stopAt, stopFor, type Verdict } from './verdict.ts'

/**
 * The only check for a resource whose spec cannot be parsed: it leaves its application, and the status names the
 * problems. Its targets stay as they are.
 */
export function rejectInvalidSpec(observed: InvalidObserved): Verdict<ResourceAction> {
  const { credential, isMember } = observed
  const leave: ResourceAction[] = isMember ? [{ do: 'leave', reason: 'InvalidSpec' }] : []
  const actions = [...leave, ...(credential.isDeleting ? removeFinalizer(observed) : reportProblems(observed))]
  return actions.length === 0 ? { kind: 'upToDate', reason: 'InvalidSpec' } : act(...actions)
}

/** The record of merged keys is lost with the spec: it is safer to leave keys behind than to guess. */
function removeFinalizer({ credential }: InvalidObserved): ResourceAction[] {
  const finalizers = credential.finalizers.filter((one) => one !== mergeFinalizer)
  const isSet = finalizers.length < credential.finalizers.length
  return isSet ? [{ do: 'setFinalizers', reason: 'Deleted', finalizers }] : []
}

function reportProblems({ credential, nowWall }: InvalidObserved): ResourceAction[] {
  const status = invalidStatus(credential.status, credential.generation, credential.problems, nowWall)
  if (isSameStatus(credential.status, status)) return []
  return [{ do: 'patchStatus', reason: 'InvalidSpec', status, events: eventsBetween(credential.status, status) }]
}

export function rejectBrokenTemplate(observed: Observed): Verdict | undefined {
  return observed.templateProblem === undefined ? undefined : stopAt(observed, observed.templateProblem)
}

export function stopWhenSuspended(observed: Observed): Verdict | undefined {
  return observed.credential.spec.suspend ? stopFor(observed, 'Suspended') : undefined
}

export function rejectDisallowedGateway(observed: Observed): Verdict | undefined {
  if (observed.isGatewayAllowed) return undefined
  return stopAt(observed, {
    class: 'userMustAct',
    reason: 'GatewayNotAllowed',
    message: `spec.gateway.url: ${new URL(observed.gatewayUrl).host} is not among the gateways that this operator may call (--allowed-gateways)`,
  })
}
