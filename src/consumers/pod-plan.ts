import { mayPrecede, type Pod, podOwner, type PodVersion, podVersionOf, type SecretUse, secretUses } from './pods.ts'
import type { Spec, Task } from './propagation-job.ts'

/** A task and the pods found for it. */
export interface PodTask extends Task {
  /** Number of pods that mount a target as a volume and have to sync it. */
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
    if (pod.metadata.deletionTimestamp !== undefined) return
    const version = podVersionOf(pod)
    const uses = secretUses(pod.spec ?? {})
    const liveSecrets = new Set(uses.filter(({ kind }) => kind === 'live').map(({ secret }) => secret))
    const mountedBy = new Set<PodTask>()
    for (const use of uses) {
      for (const task of this.#tasksOf([use.secret])) {
        if (use.kind === 'live') {
          if (needsSync(task, pod, use)) mountedBy.add(task)
        } else if (use.kind !== 'init' || !liveSecrets.has(use.secret)) {
          if (holdsOlder(task, pod, use) && !isRestarted(task.spec, pod)) task.unreachable.add(consumerName(pod))
        }
      }
    }
    for (const task of mountedBy) task.mounting++
    const tasks = [...mountedBy].filter(({ job }) => job.fingerprint !== version.fingerprint)
    // A pod has one annotation: any of the tokens makes the kubelet sync all of its volumes.
    const last = tasks.at(-1)
    if (last !== undefined) this.toAnnotate.push({ pod: version, fingerprint: last.job.fingerprint, tasks })
  }
}

/**
 * Whether the kubelet has to sync a mounted target. The first token is news only to a pod that was created before it, with
 * an optional volume: all others waited for the Secret.
 */
function needsSync({ job }: Task, { metadata }: Pod, { isOptional }: SecretUse): boolean {
  if (job.occasion !== 'firstToken') return job.occasion === 'renewal'
  return isOptional && Date.parse(metadata.creationTimestamp ?? '') < job.writtenAtWall
}

/** Whether a container holds an older token, or none, in its environment, by subPath, or copied from an init container. */
function holdsOlder({ job }: Task, pod: Pod, { container, isOptional }: SecretUse): boolean {
  const createdAt = Date.parse(pod.metadata.creationTimestamp ?? '')
  const isFirst = job.occasion === 'firstToken'
  // Creation is in whole seconds. In the second of the write an older token may have been read; a first token hardly missed.
  if (isFirst ? !isOptional || !(createdAt < job.writtenAtWall) : createdAt > job.writtenAtWall) return false
  return mayPrecede(pod, container, job.writtenAtWall)
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
