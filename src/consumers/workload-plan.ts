import { restartedForAnnotation } from '../api/v1alpha1/names.ts'
import type { Spec, Task } from './propagation-job.ts'
import type { Restart } from './workloads.ts'

type WorkloadRef = NonNullable<Spec['restartOnRenewal']>[number]

/** A workload, the tokens that it is restarted for, and the tasks that ask for it. */
export interface WorkloadToRestart extends WorkloadRef {
  readonly namespace: string
  readonly restart: Restart
  readonly tasks: readonly Task[]
}

export interface DueRestarts {
  readonly tasks: readonly Task[]
  /** When the next of the others is due, monotonic clock; undefined: there are no others. */
  readonly nextAt: number | undefined
}

/**
 * The tasks whose workloads are restarted now: those that are due, and those that share a workload with one of them. One
 * restart serves all that ask for it by now; the others go on waiting for more tokens to come.
 */
export function dueRestarts(pending: readonly Task[], now: number): DueRestarts {
  const due = new Set(pending.filter(({ job }) => job.restartAt <= now).flatMap(({ spec }) => workloadNames(spec)))
  const isDue = ({ spec }: Task): boolean => workloadNames(spec).some((name) => due.has(name))
  const waiting = pending.filter((task) => !isDue(task)).map(({ job }) => job.restartAt)
  return { tasks: pending.filter(isDue), nextAt: waiting.length === 0 ? undefined : Math.min(...waiting) }
}

/** The workloads of some tasks of a namespace, each once, by name. */
export function workloadsToRestart(tasks: readonly Task[]): ReadonlyMap<string, WorkloadToRestart> {
  const workloads = new Map<string, WorkloadToRestart>()
  for (const task of tasks) {
    const { fingerprint, namespace, uid, writtenAtWall } = task.job
    for (const ref of task.spec.restartOnRenewal ?? []) {
      const known = workloads.get(workloadName(ref))
      workloads.set(workloadName(ref), {
        ...ref,
        namespace,
        tasks: [...(known?.tasks ?? []), task],
        restart: {
          writtenAtWall: Math.max(known?.restart.writtenAtWall ?? 0, writtenAtWall),
          marks: { ...known?.restart.marks, [restartedForAnnotation(uid)]: fingerprint },
        },
      })
    }
  }
  return workloads
}

/** The workloads in a spec's restartOnRenewal, as `Deployment reports`. */
export function workloadNames({ restartOnRenewal = [] }: Spec): string[] {
  return restartOnRenewal.map(workloadName)
}

function workloadName({ kind, name }: WorkloadRef): string {
  return `${kind} ${name}`
}
