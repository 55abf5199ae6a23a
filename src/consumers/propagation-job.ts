import type { ConditionStatus } from '../api/v1alpha1/conditions.ts'
import type { Reason } from '../api/v1alpha1/reasons.ts'
import type { ApiError } from '../kubernetes/errors.ts'
import type { ObjectKey } from '../kubernetes/types.ts'
import type { Credential, Propagation, PropagationRequest } from '../observe/observed.ts'

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
export interface PropagationJob extends Pick<PropagationRequest, 'fingerprint' | 'writtenAtWall' | 'occasion'> {
  readonly key: ObjectKey
  readonly uid: string
  readonly namespace: string
  /** The generation of the credential that the job serves. */
  generation: number
  /** When each part is due, monotonic clock, ms; infinity: it is over. */
  readonly dueAt: Record<Part, number>
  /** Consecutive failures of each part. */
  readonly failures: Record<Part, number>
  /** The last result of each part; undefined while there is none. */
  readonly results: Record<Part, PartResult | undefined>
  /** Rounds since the last restart of a workload. */
  checks: number
  /** The workloads that this job restarted; at most as many as restartOnRenewal has. */
  readonly restarted: Set<string>
}

/** A part of a job that is due, with the spec as it is now. */
export interface Task {
  readonly job: PropagationJob
  readonly spec: Spec
  /** Failed calls, by the name of the pod or workload. */
  readonly failures: Map<string, ApiError>
}

/** The result of a part that has nothing to do. */
export const noWork: PartResult = { status: 'True', reason: 'Propagated', notes: [] }

/** Tokens that come within this time share one restart of a workload. */
export const restartDebounceMs = 2000

/** A job of which every part that the spec asks for is due: pods at once, workloads after the debounce. */
export function createJob(
  { credential, fingerprint, occasion, writtenAtWall }: PropagationRequest,
  now: number,
): PropagationJob {
  const { generation, key, namespace, spec, uid } = credential
  const [hasPods, hasWorkloads] = [isWanted(spec, 'pods'), isWanted(spec, 'workloads')]
  return {
    ...{ key, uid, namespace, generation, fingerprint, occasion, writtenAtWall },
    dueAt: { pods: hasPods ? now : Infinity, workloads: hasWorkloads ? now + restartDebounceMs : Infinity },
    failures: { pods: 0, workloads: 0 },
    results: { pods: hasPods ? undefined : noWork, workloads: hasWorkloads ? undefined : noWork },
    checks: 0,
    restarted: new Set(),
  }
}

/** Whether a spec asks for a part. */
export function isWanted({ propagation, restartOnRenewal = [] }: Spec, part: Part): boolean {
  return part === 'pods' ? propagation === 'Immediate' : restartOnRenewal.length > 0
}

export function isOver({ dueAt }: PropagationJob, part: Part): boolean {
  return dueAt[part] === Infinity
}

/**
 * The outcome of both parts: the notes of both, under the reason that matters most (a failure that is retried, then what
 * else is False, then a warning). Undefined while a part has no result.
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
  const message = parts.flatMap(({ notes }) => notes).join('; ')
  return { status, reason, message: message === '' ? 'no running consumer holds an older token' : message }
}

/** Whether a check without a new token did nothing and found nothing amiss. */
export function isSilent({ occasion, results: { pods, workloads } }: PropagationJob): boolean {
  const isQuiet = (result: PartResult | undefined): boolean =>
    result?.reason === 'Propagated' && result.notes.length === 0
  return occasion !== 'renewal' && isQuiet(pods) && isQuiet(workloads)
}
