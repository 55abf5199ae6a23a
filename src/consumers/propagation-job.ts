import type { ConditionStatus } from '../api/v1alpha1/conditions.ts'
import type { Reason } from '../api/v1alpha1/reasons.ts'
import type { ApiError } from '../kubernetes/errors.ts'
import type { ObjectKey } from '../kubernetes/types.ts'
import type { Credential, Propagation } from '../observe/observed.ts'

export type Spec = Credential['spec']

/** A propagation has two parts: pods that mount a target are annotated, workloads in restartOnRenewal are restarted. */
export type Part = 'pods' | 'workloads'

/** The result of one part. `notes` become the condition's message. */
export interface PartResult {
  readonly status: ConditionStatus
  readonly reason: Reason
  readonly notes: readonly string[]
}

/** The propagation of one token to the consumers of one credential. */
export interface PropagationJob {
  readonly key: ObjectKey
  readonly uid: string
  readonly namespace: string
  readonly fingerprint: string
  /** When the token was written to the targets, by the API server's clock, ms. */
  readonly writtenAtWall: number
  /** Tokens of other credentials that come until then share one restart of a workload; monotonic clock. */
  readonly restartAt: number
  /** Consecutive failures of each part. */
  readonly failures: Record<Part, number>
  /** Undefined while a part is under way. */
  readonly results: Record<Part, PartResult | undefined>
}

/** A part of a job that is pending, with the spec as it is now. */
export interface Task {
  readonly job: PropagationJob
  readonly spec: Spec
  /** Failed calls, by the name of the pod or workload. */
  readonly failures: Map<string, ApiError>
}

/** The result of a part that has nothing to do. */
export const noWork: PartResult = { status: 'True', reason: 'Propagated', notes: [] }

/** Whether a spec asks for a part. */
export function isWanted({ propagation, restartOnRenewal = [] }: Spec, part: Part): boolean {
  return part === 'pods' ? propagation === 'Immediate' : restartOnRenewal.length > 0
}

/** Whether a part is over: it succeeded, or was refused. A failed part is retried. */
export function isDone({ results }: PropagationJob, part: Part): boolean {
  const result = results[part]
  return result !== undefined && result.reason !== 'PropagationFailed'
}

/**
 * The outcome of both parts: the notes of both, under the reason that matters most (a failure that is retried, then a
 * refusal, then a warning). Undefined while a part is under way.
 */
export function outcomeOf({ results }: PropagationJob): Propagation['outcome'] {
  const { pods, workloads } = results
  if (pods === undefined || workloads === undefined) return undefined
  const parts = [pods, workloads]
  const { reason, status } =
    parts.find((part) => part.reason === 'PropagationFailed') ??
    parts.find((part) => part.status === 'False') ??
    parts.find((part) => part.reason !== 'Propagated') ??
    pods
  return { status, reason, message: parts.flatMap(({ notes }) => notes).join('; ') }
}
