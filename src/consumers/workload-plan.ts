import { restartedForAnnotation } from '../api/v1alpha1/names.ts'
import { secretUses } from './pods.ts'
import type { Spec, Task } from './propagation-job.ts'
import { isRestartedFor, needsRestart, type Restart, type Rollout, rolloutOf, type Workload } from './workloads.ts'

type WorkloadRef = NonNullable<Spec['restartOnRenewal']>[number]

/** A workload and the tasks that name it. */
export interface NamedWorkload extends WorkloadRef {
  readonly namespace: string
  readonly tasks: readonly Task[]
}

/** What a workload is found to be: `isAbsent` does not exist, `restarted` just now; `untouched`: no restart is asked for. */
export type WorkloadState = Rollout | 'restarted' | 'untouched' | 'isAbsent'

/**
 * The tasks whose workloads are checked now: those that are due, and those that wait for the debounce and share a
 * workload with one whose debounce is over. One restart serves all that ask for it by now.
 */
export function dueTasks(pending: readonly Task[], now: number): Task[] {
  const isDue = ({ job }: Task): boolean => job.dueAt.workloads <= now
  const isWaiting = ({ job }: Task): boolean => job.checks === 0
  const names = ({ spec }: Task): string[] => workloadNames(spec)
  const restarting = new Set(pending.filter((task) => isDue(task) && isWaiting(task)).flatMap(names))
  return pending.filter((task) => isDue(task) || (isWaiting(task) && names(task).some((name) => restarting.has(name))))
}

/** The workloads of some tasks of a namespace, each once, by name. */
export function namedWorkloads(tasks: readonly Task[]): ReadonlyMap<string, NamedWorkload> {
  const workloads = new Map<string, NamedWorkload>()
  for (const task of tasks) {
    for (const ref of task.spec.restartOnRenewal ?? []) {
      const others = workloads.get(workloadName(ref))?.tasks ?? []
      workloads.set(workloadName(ref), { ...ref, namespace: task.job.namespace, tasks: [...others, task] })
    }
  }
  return workloads
}

/** Decides about a workload as it was read. @returns the restart to make, or its state where there is none to make */
export function planWorkload(
  workload: Workload,
  { tasks, ...ref }: NamedWorkload,
): Restart | Exclude<WorkloadState, 'isAbsent'> {
  const asking = tasks.filter((task) => asksForRestart(task, workload))
  if (asking.length === 0) {
    const earlier = restartFor(tasks)
    return isRestartedFor(workload, earlier) ? rolloutOf(workload, earlier) : 'untouched'
  }
  const restart = restartFor(asking)
  if (!needsRestart(workload, restart)) return rolloutOf(workload, restart)
  // Another client replaced the whole object, marks and all: it is not restarted a second time.
  if (asking.every(({ job }) => job.restarted.has(workloadName(ref)))) return 'reset'
  return workload.spec?.paused === true ? 'isPaused' : restart
}

/**
 * Whether a task restarts a workload that holds no newer token. A first token does so only where the workload was created
 * before it and starts without its Secret (`optional`): all other pods waited for the Secret.
 */
function asksForRestart({ job, spec }: Task, { metadata, spec: { template } = {} }: Workload): boolean {
  if (job.occasion !== 'firstToken') return job.occasion === 'renewal'
  if (!(Date.parse(metadata.creationTimestamp ?? '') < job.writtenAtWall)) return false
  const targets = new Set(spec.targets.map(({ name }) => name))
  return secretUses(template?.spec ?? {}).some(
    ({ isOptional, kind, secret }) => isOptional && kind !== 'live' && targets.has(secret),
  )
}

function restartFor(tasks: readonly Task[]): Restart {
  return {
    writtenAtWall: Math.max(...tasks.map(({ job }) => job.writtenAtWall)),
    marks: Object.fromEntries(tasks.map(({ job }) => [restartedForAnnotation(job.uid), job.fingerprint])),
  }
}

/** The workloads in a spec's restartOnRenewal, as `Deployment reports`. */
export function workloadNames({ restartOnRenewal = [] }: Spec): string[] {
  return restartOnRenewal.map(workloadName)
}

function workloadName({ kind, name }: WorkloadRef): string {
  return `${kind} ${name}`
}
