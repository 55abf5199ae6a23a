import type { ConditionStatus } from '../api/v1alpha1/conditions.ts'
import type { Reason } from '../api/v1alpha1/reasons.ts'
import { restartedForAnnotation } from '../api/v1alpha1/names.ts'
import { ApiError } from '../kubernetes/errors.ts'
import type { ObjectKey } from '../kubernetes/types.ts'
import type { Credential, Propagation } from '../observe/observed.ts'
import type { Restart } from './workloads.ts'

/** What came of one part of a job. `notes` are for people. */
export interface PartResult {
  readonly status: ConditionStatus
  readonly reason: Reason
  readonly notes: readonly string[]
}

export type Part = 'touched' | 'restarted'
type Spec = Credential['spec']
type WorkloadRef = NonNullable<Spec['restartOnRenewal']>[number]

export interface Job {
  readonly key: ObjectKey
  readonly uid: string
  readonly namespace: string
  readonly fingerprint: string
  readonly writtenAtWall: number
  /** Tokens of others that come until then have their workloads restarted once, monotonic clock. */
  readonly restartAt: number
  /** How often each part failed. */
  readonly failures: Record<Part, number>
  /** Undefined until it is done. */
  touched: PartResult | undefined
  restarted: PartResult | undefined
}

/** A part of a job that is to be done, as its resource is by now. */
export interface Task {
  readonly job: Job
  readonly spec: Spec
  /** What went wrong, by the pod or workload. */
  readonly failures: Map<string, ApiError>
}

export const nothing: PartResult = { status: 'True', reason: 'Propagated', notes: [] }

/** What came of both parts: of all that is to be said, what is tried on goes first, and then what went wrong. Undefined: there is more to do. */
export function outcomeOf({ restarted, touched }: Job): Propagation['outcome'] {
  if (touched === undefined || restarted === undefined) return undefined
  const parts = [touched, restarted]
  const { reason, status } =
    parts.find((part) => part.reason === 'PropagationFailed') ??
    parts.find((part) => part.status === 'False') ??
    parts.find((part) => part.reason !== 'Propagated') ??
    touched
  return { status, reason, message: parts.flatMap(({ notes }) => notes).join('; ') }
}

/** Does something for one pod or workload: what fails is noted with those that want it, and stops nobody else. */
export async function attempt<T>(name: string, by: readonly Task[], run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    for (const { failures } of by) failures.set(name, error)
    return undefined
  }
}

/** Finds the tasks whose targets are among some Secrets, without a look at the others. */
export function byTarget<T extends Task>(tasks: readonly T[]): (secrets: Iterable<string>) => ReadonlySet<T> {
  const writers = new Map<string, T[]>()
  for (const task of tasks) {
    for (const { name } of task.spec.targets) writers.set(name, [...(writers.get(name) ?? []), task])
  }
  return (secrets) => new Set([...secrets].flatMap((name) => writers.get(name) ?? []))
}

/** A workload, what it is restarted for, and who wants that. */
interface WorkloadToRestart extends WorkloadRef {
  readonly restart: Restart
  readonly by: readonly Task[]
}

/** The workloads of some tasks, each once. */
export function workloadsOf(tasks: readonly Task[]): ReadonlyMap<string, WorkloadToRestart> {
  const workloads = new Map<string, WorkloadToRestart>()
  for (const task of tasks) {
    for (const ref of task.spec.restartOnRenewal ?? []) {
      const { by = [], restart } = workloads.get(workloadName(ref)) ?? {}
      const { fingerprint, uid, writtenAtWall } = task.job
      workloads.set(workloadName(ref), {
        ...ref,
        by: [...by, task],
        restart: {
          writtenAtWall: Math.max(restart?.writtenAtWall ?? 0, writtenAtWall),
          marks: { ...restart?.marks, [restartedForAnnotation(uid)]: fingerprint },
        },
      })
    }
  }
  return workloads
}

/** The workloads that a task has restarted, as `Deployment reports`. */
export function workloadNames({ spec }: Pick<Task, 'spec'>): string[] {
  return (spec.restartOnRenewal ?? []).map(workloadName)
}

function workloadName({ kind, name }: WorkloadRef): string {
  return `${kind} ${name}`
}

export function isWanted({ propagation, restartOnRenewal = [] }: Spec, part: Part): boolean {
  return part === 'touched' ? propagation === 'Immediate' : restartOnRenewal.length > 0
}

export function forbidden(notes: readonly string[]): PartResult {
  return { status: 'False', reason: 'PropagationForbidden', notes }
}

export function failed(note: string): PartResult {
  return { status: 'False', reason: 'PropagationFailed', notes: [note] }
}

export function refusal(what: string, namespace: string): string {
  return `the API server refuses to let the operator ${what} in namespace ${namespace} (HTTP 403): install the component deploy/components/consumers (for one namespace: deploy/components/consumers/namespaced), or look at admission webhooks`
}
