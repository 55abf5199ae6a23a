import { type Pod, podOwner, type PodVersion, podVersionOf, secretUse } from './pods.ts'
import type { Spec, Task } from './propagation-job.ts'

/** A task and the pods found for it. */
export interface PodTask extends Task {
  /** Number of pods that mount a target as a volume. */
  mounting: number
  /** Names of consumers that the kubelet never updates, and that no restart reaches. */
  readonly unreachable: Set<string>
}

/** A pod to annotate, with the token's fingerprint and the tasks that ask for it. */
export interface PodToAnnotate {
  readonly pod: PodVersion
  readonly fingerprint: string
  readonly tasks: readonly Task[]
}

/** Decides which pods of a namespace the tokens of some tasks are propagated to. Pods are added as their pages come. */
export class PodPlan {
  readonly tasks: readonly PodTask[]
  readonly toAnnotate: PodToAnnotate[] = []
  readonly #tasksOf: (secrets: Iterable<string>) => ReadonlySet<PodTask>

  constructor(tasks: readonly Task[]) {
    this.tasks = tasks.map((task) => ({ ...task, mounting: 0, unreachable: new Set<string>() }))
    this.#tasksOf = byTarget(this.tasks)
  }

  add(pod: Pod): void {
    const version = podVersionOf(pod)
    const { fixed, live } = secretUse(pod)
    const tasks: Task[] = []
    for (const task of this.#tasksOf(live)) {
      task.mounting++
      if (version.fingerprint !== task.job.fingerprint) tasks.push(task)
    }
    for (const task of this.#tasksOf(fixed)) {
      if (!isRestarted(task.spec, pod)) task.unreachable.add(consumerName(pod))
    }
    // A pod has one annotation: any of the tokens makes the kubelet sync all of its volumes.
    const last = tasks.at(-1)
    if (last !== undefined) this.toAnnotate.push({ pod: version, fingerprint: last.job.fingerprint, tasks })
  }
}

/** Finds the tasks whose targets are among some Secrets, by an index. */
function byTarget<T extends Task>(tasks: readonly T[]): (secrets: Iterable<string>) => ReadonlySet<T> {
  const index = new Map<string, T[]>()
  for (const task of tasks) {
    for (const { name } of task.spec.targets) index.set(name, [...(index.get(name) ?? []), task])
  }
  return (secrets) => new Set([...secrets].flatMap((name) => index.get(name) ?? []))
}

/** Whether the pod's workload is restarted for each token. */
function isRestarted({ restartOnRenewal = [] }: Spec, pod: Pod): boolean {
  const owner = podOwner(pod)
  return restartOnRenewal.some(({ kind, name }) => kind === owner?.kind && name === owner.name)
}

/** `Deployment reports`, or `Pod alone` for a pod without a controller. */
function consumerName(pod: Pod): string {
  const { kind, name } = podOwner(pod) ?? { kind: 'Pod', name: pod.metadata.name ?? '' }
  return `${kind} ${name}`
}
