import type { Condition } from '../api/v1alpha1/conditions.ts'
import { parseStatus } from '../api/v1alpha1/credential.ts'
import { mergeFinalizer } from '../api/v1alpha1/names.ts'
import { renewalStatusFor } from '../api/v1alpha1/reasons.ts'
import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import type { KubernetesObject } from '../kubernetes/types.ts'
import { formatDuration } from '../lib/duration.ts'

/** An EnosAppCredential as the API server sends it; a resource that an older CRD let in may have any spec. */
export interface CredentialObject extends KubernetesObject {
  readonly spec?: { readonly targets?: unknown; readonly suspend?: unknown }
  readonly status?: unknown
}

/** Something that keeps a resource from being as it should be. */
export interface StatusProblem {
  /** Of a condition, or one of the reasons that only the clock and the metadata show: see `statusProblems`. */
  readonly reason: string
  readonly message: string
}

/** Asked once for a resource. */
const operatorQuestion = ': is the operator running?'
/** A renewal that is due takes up to this long; beyond it, it is overdue. */
export const overdueAfterMs = 10_000

/** @param nowWall ms */
export function isExpired({ expiresAt }: CredentialStatus, nowWall: number): boolean {
  return expiresAt !== undefined && Date.parse(expiresAt) <= nowWall
}

/** How long a renewal is overdue, in ms; undefined: it is not. */
export function overdueMs(object: CredentialObject, status: CredentialStatus, nowWall: number): number | undefined {
  if (object.spec?.suspend === true || status.nextRenewalAt === undefined) return undefined
  const ms = nowWall - Date.parse(status.nextRenewalAt)
  return ms > overdueAfterMs ? ms : undefined
}

/**
 * All problems of a resource, the most important first. The status alone misleads when no operator runs, so the clock
 * has the last word: `Deleting`, `NotReconciled`, `TokenExpired` and `RenewalOverdue` are found here.
 *
 * @param nowWall ms
 */
export function statusProblems(object: CredentialObject, nowWall: number): StatusProblem[] {
  const status = parseStatus(object.status)
  const condition = (type: string): Condition | undefined => status.conditions.find((one) => one.type === type)
  const [ready, healthy] = [condition('Ready'), condition('RenewalHealthy')]
  const problems: (StatusProblem | undefined)[] = [
    deletionProblem(object, nowWall),
    generationProblem(object, status),
    expiryProblem(status, ready, nowWall),
    ready?.status === 'True' ? undefined : ready,
    healthy?.status === 'True' ? undefined : healthy,
    isRenewed(healthy) ? overdueProblem(object, status, nowWall) : undefined,
    condition('Stalled')?.status === 'True' ? condition('Stalled') : undefined,
    condition('Reconciling')?.status === 'True' ? condition('Reconciling') : undefined,
    condition('Propagated')?.status === 'False' ? condition('Propagated') : undefined,
  ]
  const seen = new Set<string>()
  const found = problems.flatMap((problem) => {
    if (problem === undefined || seen.has(problem.reason)) return []
    seen.add(problem.reason)
    return [{ reason: problem.reason, message: problem.message }]
  })
  const asking = found.findIndex(({ message }) => message.endsWith(operatorQuestion))
  return found.map(({ message, reason }, at) => {
    const isRepeated = at > asking && message.endsWith(operatorQuestion)
    return { reason, message: isRepeated ? message.slice(0, -operatorQuestion.length) : message }
  })
}

/** Otherwise a renewal that is late has a known cause. */
function isRenewed(healthy: Condition | undefined): boolean {
  return healthy === undefined || (healthy.status !== 'False' && renewalStatusFor(healthy.reason) !== 'Unknown')
}

function deletionProblem({ metadata }: CredentialObject, nowWall: number): StatusProblem | undefined {
  const { deletionTimestamp, finalizers = [] } = metadata
  if (deletionTimestamp === undefined) return undefined
  const sinceWall = Date.parse(deletionTimestamp)
  const isOurs = finalizers.includes(mergeFinalizer) && nowWall - sinceWall > overdueAfterMs
  const waiting = finalizers.length === 0 ? '' : `, waiting for ${finalizers.join(', ')}`
  const message = `deletion in progress for ${age(sinceWall, nowWall)}${waiting}${isOurs ? operatorQuestion : ''}`
  return { reason: 'Deleting', message }
}

function generationProblem({ metadata }: CredentialObject, status: CredentialStatus): StatusProblem | undefined {
  if (status.conditions.length === 0) {
    return { reason: 'NotReconciled', message: `no operator has reconciled it yet${operatorQuestion}` }
  }
  const { deletionTimestamp, generation } = metadata
  // A deletion counts the generation up as well, and has a problem of its own.
  if (deletionTimestamp !== undefined) return undefined
  if (generation === undefined || (status.observedGeneration ?? generation) >= generation) return undefined
  const message = `no operator has reconciled the change of the spec yet (generation ${generation})${operatorQuestion}`
  return { reason: 'NotReconciled', message }
}

/** The operator sets Ready to False at expiry; if it still is True, the operator does not run. */
function expiryProblem(
  status: CredentialStatus,
  ready: Condition | undefined,
  nowWall: number,
): StatusProblem | undefined {
  if (ready?.status !== 'True' || !isExpired(status, nowWall)) return undefined
  const ago = age(Date.parse(status.expiresAt ?? ''), nowWall)
  return { reason: 'TokenExpired', message: `the token expired ${ago} ago${operatorQuestion}` }
}

function overdueProblem(
  object: CredentialObject,
  status: CredentialStatus,
  nowWall: number,
): StatusProblem | undefined {
  const ms = overdueMs(object, status, nowWall)
  if (ms === undefined) return undefined
  return {
    reason: 'RenewalOverdue',
    message: `the renewal is overdue by ${formatDuration(ms)}${operatorQuestion}`,
  }
}

/** Time since then; at least 0s, because the operator's clock may be ahead of this one. */
export function age(thenWall: number, nowWall: number): string {
  return formatDuration(Math.max(0, nowWall - thenWall))
}
