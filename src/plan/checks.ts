import type { Problem } from '../api/v1alpha1/problem.ts'
import type { Observed } from '../observe/observed.ts'
import { finishDeletion, removeFinalizer, setFinalizer } from './deletion-checks.ts'
import { applyDeletionPolicy } from './deletion-policy-check.ts'
import { joinApplication, readTokenBack } from './membership-checks.ts'
import { propagateToken } from './propagation-check.ts'
import { pruneRemovedTargets } from './removed-target-checks.ts'
import { awaitConfigMaps, fetchSources, rejectBrokenSources, warnOfTrimmedSources } from './source-checks.ts'
import { rejectBrokenTemplate, rejectDisallowedGateway, stopWhenSuspended } from './spec-checks.ts'
import { fetchDriftedTargets, writeStatus } from './status-checks.ts'
import { writeTargets } from './target-checks.ts'
import { stopWhenUpToDate } from './up-to-date.ts'
import type { Verdict } from './verdict.ts'
import {
  emitAdoptionEvents,
  warnOfAlteredTargets,
  warnOfContestedTargets,
  warnOfTargetsWithoutToken,
} from './warning-checks.ts'

export type Check = (observed: Observed, now: number) => Verdict | undefined

/**
 * Everything that the operator does for a resource with a valid spec, in order: the first check with a verdict decides.
 * When to get or refresh a token is not decided here: tokens/renewal-rule.ts has the renewal rule.
 */
export const checks = {
  /** Retain Secrets, remove merged keys and the finalizer of a resource that is being deleted. */
  finishDeletion,
  /** Apply a changed deletionPolicy to the owner references at once, token or not. */
  applyDeletionPolicy,
  /** Remove the finalizer once nothing needs it. */
  removeFinalizer,
  /** Stop at a template that cannot be used. */
  rejectBrokenTemplate,
  /** Stop while spec.suspend is true. */
  stopWhenSuspended,
  /** Remove targets that left the spec; forget Secrets that are gone. */
  pruneRemovedTargets,
  /** Carry the finalizer while keys are in Secrets of other owners. */
  setFinalizer,
  /** Stop at a gateway outside --allowed-gateways. */
  rejectDisallowedGateway,
  /** Wait until the ConfigMaps of the namespace are known. */
  awaitConfigMaps,
  /** Do nothing when nothing has changed since the status was written. */
  stopWhenUpToDate,
  /** GET the sources when they have changed; stop where one does not exist. */
  fetchSources,
  /** Warn of newlines that were trimmed from a source value. */
  warnOfTrimmedSources,
  /** Stop at a source value that cannot be used. */
  rejectBrokenSources,
  /** After a restart: find the token on a target instead of calling the gateway. */
  readTokenBack,
  /** Join the application of gateway and appKey, which keeps the token fresh. */
  joinApplication,
  /** Bring all targets to the application's token. */
  writeTargets,
  /** Emit an event for each adopted Secret, with the keys that were removed from it. */
  emitAdoptionEvents,
  /** Warn, once, of targets that another writer keeps changing. */
  warnOfContestedTargets,
  /** Warn, once, of targets that admission stored otherwise than they were written. */
  warnOfAlteredTargets,
  /** Warn, once, of targets of which no template uses the token. */
  warnOfTargetsWithoutToken,
  /** Have running pods see the new token. */
  propagateToken,
} as const satisfies Record<string, Check>

/** A check of the report: it also knows the problem at which the checks above have stopped. */
export type ReportCheck = (observed: Observed, problem: Problem | undefined, now: number) => Verdict | undefined

/** Follows when the checks above have nothing left to do, or have stopped. */
export const reportChecks = {
  /** Read targets that another writer has changed: whether they still hold the token decides Ready. */
  fetchDriftedTargets,
  /** Write the status, with its events, when it differs from what is observed. */
  writeStatus,
} as const satisfies Record<string, ReportCheck>
