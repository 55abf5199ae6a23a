import { ApiError, isForbidden } from '../kubernetes/errors.ts'
import type { KubernetesClient, ObjectKey } from '../kubernetes/types.ts'
import { WorkQueue, type WorkQueueObserver, type WorkQueueSnapshot } from '../kubernetes/work-queue.ts'
import { type Backoff, backoffMs } from '../lib/backoff.ts'
import { type Clock, sleep } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { Caches } from '../observe/caches.ts'
import type { Propagator } from '../reconcile/executor.ts'
import type { Credential, Propagation } from '../observe/observed.ts'
import type { Log } from '../lib/log.ts'
import {
  attempt,
  byTarget,
  failed,
  forbidden,
  isWanted,
  type Job,
  nothing,
  outcomeOf,
  type Part,
  type PartResult,
  refusal,
  type Task,
  workloadNames,
  workloadsOf,
} from './jobs.ts'
import { type Pod, podOwner, type PodVersion, runningPods, secretUse, tellPod, versionOf } from './pods.ts'
import { restartWorkload, type RestartOutcome } from './workloads.ts'

export interface ConsumersOptions {
  readonly client: Pick<KubernetesClient, 'get' | 'list' | 'patch'>
  readonly credentials: Pick<Caches['credentials'], 'get'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly queueObserver?: WorkQueueObserver
  /** The propagation of a credential came to something. */
  readonly onChange: (key: ObjectKey) => void
}

/** So many pods are touched side by side, then there is a pause: at most 100 a second in a namespace. */
const podsAtATime = 10
const podPauseMs = 100
/** Tokens that are renewed within this time restart a workload once. */
const restartDebounceMs = 2000
/** Namespaces that are worked on side by side. */
const concurrency = 4
/** A namespace has as many batches as it has pods, each with calls of its own. */
const handlingLimitMs = 30 * 60_000
const backoff: Backoff = { baseMs: 200, capMs: 5 * 60_000 }
/** From here on the condition says that it does not work, though it is tried on. */
const quietFailures = 3

const restartNotes: Readonly<Record<RestartOutcome, string>> = {
  restarted: 'was restarted',
  isFresh: 'was restarted since the token was written',
  isPaused: 'is paused, and was not restarted',
  isAbsent: 'is not there',
}

/**
 * Has running consumers see a new token: pods that mount a target are touched (an annotation), so that their kubelet
 * syncs them at once, and workloads that read it from their environment are restarted. A namespace's pods are listed once
 * for all its credentials.
 */
export class Consumers implements Propagator {
  readonly #options: ConsumersOptions
  readonly #jobs = new Map<ObjectKey, Job>()
  readonly #touches: WorkQueue<string>
  readonly #restarts: WorkQueue<string>

  constructor(options: ConsumersOptions) {
    this.#options = options
    this.#touches = this.#queue('pods', (namespace, error) => this.#fail(namespace, 'touched', error))
    this.#restarts = this.#queue('restarts', (namespace, error) => this.#fail(namespace, 'restarted', error))
    this.#touches.run(concurrency, (namespace, signal) => this.#touch(namespace, signal))
    this.#restarts.run(concurrency, (namespace, signal) => this.#restart(namespace, signal))
  }

  propagate({ key, namespace, spec, uid }: Credential, fingerprint: string, writtenAtWall: number): void {
    const job: Job = {
      key,
      uid,
      namespace,
      fingerprint,
      writtenAtWall,
      restartAt: this.#options.clock.now() + restartDebounceMs,
      failures: { touched: 0, restarted: 0 },
      touched: isWanted(spec, 'touched') ? undefined : nothing,
      restarted: isWanted(spec, 'restarted') ? undefined : nothing,
    }
    this.#jobs.set(key, job)
    if (job.touched === undefined) this.#touches.add(namespace)
    if (job.restarted === undefined) this.#restarts.addAfter(namespace, restartDebounceMs)
  }

  propagation(key: ObjectKey): Propagation | undefined {
    const job = this.#jobs.get(key)
    return job === undefined ? undefined : { fingerprint: job.fingerprint, outcome: outcomeOf(job) }
  }

  forget(key: ObjectKey): void {
    this.#jobs.delete(key)
  }

  queues(): WorkQueueSnapshot[] {
    return [this.#touches.snapshot(), this.#restarts.snapshot()]
  }

  async shutDown(drainMs: number): Promise<void> {
    await Promise.all([this.#touches.shutDown({ drainMs }), this.#restarts.shutDown({ drainMs })])
  }

  async #touch(namespace: string, signal: AbortSignal): Promise<void> {
    const { client, clock, log } = this.#options
    const tasks = this.#pending(namespace, 'touched').map((task) => ({
      ...task,
      reached: 0,
      unreachable: new Set<string>(),
    }))
    if (tasks.length === 0) {
      this.#touches.forget(namespace)
      return
    }
    const writersOf = byTarget(tasks)
    const toTell: { readonly pod: PodVersion; readonly fingerprint: string; readonly by: readonly Task[] }[] = []
    for await (const pod of runningPods(client, namespace, signal)) {
      const version = versionOf(pod)
      const { fixed, live } = secretUse(pod)
      const by: Task[] = []
      for (const task of writersOf(live)) {
        task.reached++
        if (version.told !== task.job.fingerprint) by.push(task)
      }
      for (const task of writersOf(fixed)) {
        if (!isRestarted(task.spec, pod)) task.unreachable.add(nameOf(pod))
      }
      const last = by.at(-1)
      if (last !== undefined) toTell.push({ pod: version, fingerprint: last.job.fingerprint, by })
    }
    let touched = 0
    for (let at = 0; at < toTell.length; at += podsAtATime) {
      if (at > 0) await sleep(clock, podPauseMs, signal)
      const batch = toTell.slice(at, at + podsAtATime).map(async ({ by, fingerprint, pod }) => {
        const isTold = await attempt(`Pod ${pod.name}`, by, () => tellPod(client, pod, fingerprint, signal))
        if (isTold === true) touched++
      })
      await Promise.all(batch)
    }
    if (touched > 0) log.info({ namespace, pods: touched }, 'pods were touched')
    this.#conclude('touched', namespace, tasks, ({ failures, reached, unreachable }) => {
      const told = `${counted(reached - failures.size, 'pod that mounts', 'pods that mount')} a target were told of the present token`
      if (unreachable.size === 0) return { status: 'True', reason: 'Propagated', notes: [told] }
      const blind = `${listed([...unreachable].sort())} read it from environment or subPath, and see it only when restarted: name the workload in spec.restartOnRenewal`
      return { status: 'True', reason: 'ConsumersNeedRestart', notes: [told, blind] }
    })
  }

  async #restart(namespace: string, signal: AbortSignal): Promise<void> {
    const now = this.#options.clock.now()
    const pending = this.#pending(namespace, 'restarted')
    const workloads = new Set(pending.filter(({ job }) => job.restartAt <= now).flatMap(workloadNames))
    // One restart is for all that want it by now; the others go on waiting for more to come.
    const isNow = (task: Task): boolean => workloadNames(task).some((name) => workloads.has(name))
    const tasks = pending.filter(isNow)
    const nextAt = Math.min(...pending.filter((task) => !isNow(task)).map(({ job }) => job.restartAt))
    if (nextAt < Number.POSITIVE_INFINITY) this.#restarts.addAfter(namespace, nextAt - now)
    const notes = new Map<string, string>()
    for (const [workload, { by, kind, name, restart }] of workloadsOf(tasks)) {
      if (signal.aborted) return
      const outcome = await attempt(workload, by, () =>
        restartWorkload(this.#options, kind, { namespace, name }, restart, signal),
      )
      if (outcome === undefined) continue
      if (outcome === 'restarted') this.#options.log.info({ namespace, kind, name }, 'workload was restarted')
      notes.set(workload, `${workload}: ${restartNotes[outcome]}`)
    }
    this.#conclude('restarted', namespace, tasks, ({ spec }) => ({
      ...nothing,
      notes: workloadNames({ spec }).flatMap((name) => notes.get(name) ?? []),
    }))
  }

  /** What is still to be done, as it is wanted by now. */
  #pending(namespace: string, part: Part): Task[] {
    const tasks: Task[] = []
    for (const job of this.#jobs.values()) {
      const isDone = job[part] !== undefined && job[part].reason !== 'PropagationFailed'
      if (job.namespace !== namespace || isDone) continue
      const credential = this.#options.credentials.get(job.key)
      // Without a job it is published anew, should that be wanted again.
      if (credential?.spec === undefined || credential.isDeleting || credential.uid !== job.uid) this.forget(job.key)
      else if (isWanted(credential.spec, part)) tasks.push({ job, spec: credential.spec, failures: new Map() })
      else this.#finish(job, part, nothing)
    }
    return tasks
  }

  /** What was refused is not asked again before the next token; everything else is tried on, by the queue. */
  #conclude<T extends Task>(part: Part, namespace: string, tasks: readonly T[], done: (task: T) => PartResult): void {
    const queue = this.#queueOf(part)
    let minFailures = Number.POSITIVE_INFINITY
    const failures = new Map(tasks.flatMap((task) => [...task.failures]))
    if (failures.size > 0) this.#warn(namespace, [...failures.values()])
    for (const task of tasks) {
      const errors = [...task.failures.values()]
      if (errors.length === 0) this.#finish(task.job, part, done(task))
      else if (errors.every(isForbidden)) {
        const verbs = part === 'touched' ? 'patch' : 'get and patch'
        const refused = refusal(`${verbs} ${listed([...task.failures.keys()])}`, namespace)
        this.#finish(task.job, part, forbidden([...done(task).notes, refused]))
      } else {
        const times = ++task.job.failures[part]
        minFailures = Math.min(minFailures, times)
        if (times > quietFailures) this.#finish(task.job, part, failed(listed(errors.map(({ message }) => message))))
      }
    }
    queue.forget(namespace)
    // Nobody waits longer for the sake of another that fails for ever.
    if (minFailures < Number.POSITIVE_INFINITY) {
      queue.addAfter(namespace, backoffMs(backoff, minFailures, this.#options.random))
    }
  }

  #finish(job: Job, part: Part, result: PartResult): void {
    job[part] = result
    this.#options.onChange(job.key)
  }

  /** Nothing can be done for a whole namespace. */
  #fail(namespace: string, part: Part, error: unknown): void {
    this.#warn(namespace, [error])
    const isRefused = isForbidden(error)
    if (!isRefused && this.#queueOf(part).retries(namespace) < quietFailures) return
    const result = isRefused ? forbidden([refusal('list and patch Pods', namespace)]) : failed(detailOf(error))
    for (const { job } of this.#pending(namespace, part)) this.#finish(job, part, result)
  }

  #warn(namespace: string, errors: readonly unknown[]): void {
    const failures = { failures: errors.length, detail: detailOf(errors[0]) }
    this.#options.log.warn({ namespace, ...failures }, 'consumers could not be told of the token')
  }

  #queueOf(part: Part): WorkQueue<string> {
    return part === 'touched' ? this.#touches : this.#restarts
  }

  #queue(name: string, onError: (namespace: string, error: unknown) => void): WorkQueue<string> {
    const { clock, queueObserver, random } = this.#options
    return new WorkQueue<string>({
      name,
      clock,
      random,
      backoff,
      ...(queueObserver === undefined ? {} : { observer: queueObserver }),
      handlingLimitMs: () => handlingLimitMs,
      onError,
    })
  }
}

/** The pod's workload is restarted anyway. */
function isRestarted({ restartOnRenewal = [] }: Credential['spec'], pod: Pod): boolean {
  const owner = podOwner(pod)
  return restartOnRenewal.some(({ kind, name }) => kind === owner?.kind && name === owner.name)
}

function nameOf(pod: Pod): string {
  const owner = podOwner(pod)
  return owner === undefined ? `Pod ${pod.metadata.name ?? ''}` : `${owner.kind} ${owner.name}`
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ')
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown
}

function detailOf(error: unknown): string {
  return error instanceof ApiError ? error.message : 'unexpected error'
}
