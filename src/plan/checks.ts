import type { Observed } from '../observe/observed.ts'
import { setFinalizer, finishDeletion } from './deletion-checks.ts'
import { pruneRemovedTargets } from './removed-target-checks.ts'
import { readTokenBack, joinApplication } from './membership-checks.ts'
import { propagateToken } from './propagation-check.ts'
import { stopWhenUpToDate } from './up-to-date.ts'
import { rejectBrokenSources, fetchSources, awaitConfigMaps } from './source-checks.ts'
import { targetActions } from './target-checks.ts'
import { stopWith, type Verdict } from './verdict.ts'

export type Check = (observed: Observed, now: number) => Verdict | undefined

/** In their order; the first that speaks wins. */
export const checks: readonly Check[] = [
  finishDeletion,
  rejectBrokenTemplate,
  stopWhenSuspended,
  pruneRemovedTargets,
  setFinalizer,
  rejectDisallowedGateway,
  awaitConfigMaps,
  stopWhenUpToDate,
  fetchSources,
  rejectBrokenSources,
  readTokenBack,
  joinApplication,
  writeTargets,
  propagateToken,
]

function rejectBrokenTemplate(observed: Observed): Verdict | undefined {
  return observed.templateProblem === undefined ? undefined : stopWith(observed, observed.templateProblem)
}

function stopWhenSuspended(observed: Observed): Verdict | undefined {
  return observed.credential.spec.suspend ? stopWith(observed, undefined) : undefined
}

function rejectDisallowedGateway(observed: Observed): Verdict | undefined {
  if (observed.isGatewayAllowed) return undefined
  return stopWith(observed, {
    class: 'userMustAct',
    reason: 'GatewayNotAllowed',
    message: `spec.gateway.url: ${new URL(observed.gatewayUrl).host} is not among the gateways that this operator may call (--allowed-gateways)`,
  })
}

function writeTargets(observed: Observed, now: number): Verdict | undefined {
  const actions = targetActions(observed, now)
  return actions.length === 0 ? undefined : { kind: 'do', actions }
}
