import { isProblem, type Observed } from '../observe/observed.ts'
import { finalizersToSet, isBeingDeleted } from './deletion-checks.ts'
import { hasFormerTargets } from './removed-target-checks.ts'
import { hasTokenToReadBack, isNotJoined } from './membership-checks.ts'
import { hasTokenToPublish } from './propagation-check.ts'
import { isSettled } from './up-to-date.ts'
import { hasBrokenSources, hasUnreadSources, isAwaitingConfigMaps } from './source-checks.ts'
import { targetActions } from './target-checks.ts'
import { stopWith, type Verdict } from './verdict.ts'

export type Check = (observed: Observed, now: number) => Verdict | undefined

/** In their order; the first that speaks wins. */
export const checks: readonly Check[] = [
  isBeingDeleted,
  hasBrokenTemplate,
  isSuspended,
  hasFormerTargets,
  finalizersToSet,
  isGatewayRefused,
  isAwaitingConfigMaps,
  isSettled,
  hasUnreadSources,
  hasBrokenSources,
  hasTokenToReadBack,
  isNotJoined,
  hasTargetsToWrite,
  hasTokenToPublish,
]

function hasBrokenTemplate(observed: Observed): Verdict | undefined {
  return isProblem(observed.templates) ? stopWith(observed, observed.templates) : undefined
}

function isSuspended(observed: Observed): Verdict | undefined {
  return observed.credential.spec.suspend ? stopWith(observed, undefined) : undefined
}

function isGatewayRefused(observed: Observed): Verdict | undefined {
  if (observed.isGatewayAllowed) return undefined
  return stopWith(observed, {
    class: 'userMustAct',
    reason: 'GatewayNotAllowed',
    message: `spec.gateway.url: ${new URL(observed.gatewayUrl).host} is not among the gateways that this operator may call (--allowed-gateways)`,
  })
}

function hasTargetsToWrite(observed: Observed, now: number): Verdict | undefined {
  const actions = targetActions(observed, now)
  return actions.length === 0 ? undefined : { kind: 'do', actions }
}
