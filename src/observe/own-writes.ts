import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import { type Contest, isContested, nextCorrectionAt, noteCorrection } from './contest.ts'

/** What this process last wrote to a resource. */
export interface OwnWrites {
  /** Monotonic clock. */
  statusWrittenAt: number
  prunedStatus: PrunedStatus | undefined
  /** The status that this process wrote last; before the first write, the one that it found. */
  ownStatus: CredentialStatus | undefined
  /** Writes of the status that undo those of another operator. */
  statusContest: Contest | undefined
  /** The status is to be written once more, so that another operator sees that it is not alone. */
  isStatusDue: boolean
  finalizerWrite: FinalizerWrite | undefined
}

/** A status as it was written and as the API server stored it, where an older CRD has pruned fields. */
export interface PrunedStatus {
  readonly written: CredentialStatus
  readonly kept: CredentialStatus
}

/** What this process last wrote of our finalizer, and how often it had to write that again. */
export interface FinalizerWrite {
  readonly isSet: boolean
  /** Undefined while nothing was written twice. */
  readonly contest: Contest | undefined
}

type Observed = Readonly<Pick<OwnWrites, 'finalizerWrite'>>

/** Notes a write. The same as before is a correction: another client, or an operator of another verdict, undid the last. */
export function noteFinalizerWrite(before: FinalizerWrite | undefined, isSet: boolean, now: number): FinalizerWrite {
  const contest = before?.contest
  if (before?.isSet !== isSet) return { isSet, contest }
  return { isSet, contest: noteCorrection(contest, undefined, { isTokenLost: false, writer: undefined }, now) }
}

/** Whether a correction of the finalizer may be made; a write that is no correction always may. */
export function mayWriteFinalizer({ finalizerWrite }: Observed, isSet: boolean, now: number): boolean {
  const isCorrection = finalizerWrite?.isSet === isSet
  return !isCorrection || now >= (nextFinalizerWriteAt({ finalizerWrite }, now) ?? Number.NEGATIVE_INFINITY)
}

export function isFinalizerContested({ finalizerWrite }: Observed, now: number): boolean {
  return finalizerWrite?.contest !== undefined && isContested(finalizerWrite.contest, now)
}

/** When the next correction may be made, monotonic clock; undefined: now, or none was made. */
export function nextFinalizerWriteAt(observed: Observed, now: number): number | undefined {
  const contest = observed.finalizerWrite?.contest
  return contest === undefined || !isFinalizerContested(observed, now) ? undefined : nextCorrectionAt(contest)
}
