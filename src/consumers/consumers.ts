import type { ConditionStatus } from '../api/v1alpha1/conditions.ts'
import type { Reason } from '../api/v1alpha1/reasons.ts'
import { ApiError, isForbidden } from '../kubernetes/errors.ts'
import type { KubernetesClient, ObjectKey } from '../kubernetes/types.ts'
import { WorkQueue, type WorkQueueObserver, type WorkQueueSnapshot } from '../kubernetes/work-queue.ts'
import { type Clock, sleep } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { Publisher } from '../reconcile/executor.ts'
import type { Credential, Publication } from '../reconcile/observed.ts'
import type { Log } from '../telemetry/logger.ts'
import { type Pod, podOwner, type PodVersion, runningPods, secretUse, tellPod, versionOf } from './pods.ts'
import { restartWorkload, type RestartOutcome } from './workloads.ts'

export interface ConsumersOptions {
  readonly client: Pick<KubernetesClient, 'get' | 'list' | 'patch'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly queueObserver?: WorkQueueObserver
  /** The publication of a credential came to something. */
  readonly onChange: (key: ObjectKey) => void
}

/** What came of one part of a job. `notes` are for people. */
interface PartResult {
  readonly status: ConditionStatus
  readonly reason: Reason
  readonly notes: readonly string[]
}

interface Job {
  readonly credential: Credential
  readonly fingerprint: string
  readonly writtenAtWall: number
  /** Undefined until it is done. */
  touched: PartResult | undefined
  restarted: PartResult | undefined
}

type WorkloadRef = NonNullable<Credential['spec']['restartOnRenewal']>[number]

/** So many pods are touched side by side, then there is a pause: at most 100 a second in a namespace. */
const podsAtATime = 10
const podPauseMs = 100
/** Tokens that are renewed within this time restart a workload once. */
const restartDebounceMs = 2000
/** Namespaces that are worked on side by side. */
const concurrency = 4
/** A namespace has as many batches as it has pods, each with calls of its own. */
const handlingLimitMs = 30 * 60_000
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
export class Consumers implements Publisher {
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

  publish(credential: Credential, fingerprint: string, writtenAtWall: number): void {
    const { propagation, restartOnRenewal = [] } = credential.spec
    const nothing: PartResult = { status: 'True', reason: 'Propagated', notes: [] }
    const job: Job = {
      credential,
      fingerprint,
      writtenAtWall,
      touched: propagation === 'Immediate' ? undefined : nothing,
      restarted: restartOnRenewal.length > 0 ? undefined : nothing,
    }
    this.#jobs.set(credential.key, job)
    if (job.touched === undefined) this.#touches.add(credential.namespace)
    if (job.restarted === undefined) this.#restarts.addAfter(credential.namespace, restartDebounceMs)
  }

  publication(key: ObjectKey): Publication | undefined {
    const job = this.#jobs.get(key)
    if (job === undefined) return undefined
    const { fingerprint, restarted, touched } = job
    if (touched === undefined || restarted === undefined) return { fingerprint, outcome: undefined }
    const { reason, status } = touched.reason === 'Propagated' ? restarted : touched
    const notes = [...touched.notes, ...restarted.notes]
    return { fingerprint, outcome: { status, reason, message: notes.join('; ') } }
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
    const jobs = this.#pending(namespace, 'touched')
    if (jobs.length === 0) {
      this.#touches.forget(namespace)
      return
    }
    const { client, clock, log } = this.#options
    let touched = 0
    const fixed = new Map<Job, Set<string>>(jobs.map((job) => [job, new Set()]))
    const reached = new Map<Job, number>(jobs.map((job) => [job, 0]))
    const toTouch: { readonly pod: PodVersion; readonly fingerprint: string }[] = []
    for await (const pod of runningPods(client, namespace, signal)) {
      const version = versionOf(pod)
      let news: string | undefined
      for (const job of jobs) {
        const { isFixed, isLive } = secretUse(pod, new Set(job.credential.spec.targets.map((target) => target.name)))
        if (isLive) reached.set(job, (reached.get(job) ?? 0) + 1)
        if (isLive && version.told !== job.fingerprint) news = job.fingerprint
        if (isFixed && !isRestarted(job.credential, pod)) fixed.get(job)?.add(nameOf(pod))
      }
      if (news !== undefined) toTouch.push({ pod: version, fingerprint: news })
    }
    for (let at = 0; at < toTouch.length; at += podsAtATime) {
      if (at > 0) await sleep(clock, podPauseMs, signal)
      const batch = toTouch.slice(at, at + podsAtATime)
      const told = await Promise.all(batch.map(({ fingerprint, pod }) => tellPod(client, pod, fingerprint, signal)))
      touched += told.filter(Boolean).length
    }
    this.#touches.forget(namespace)
    if (touched > 0) log.info({ namespace, pods: touched }, 'pods were touched')
    for (const job of jobs) {
      const told = counted(reached.get(job) ?? 0, 'pod that mounts', 'pods that mount')
      const unreachable = [...(fixed.get(job) ?? [])].sort()
      if (unreachable.length === 0) {
        this.#finish(job, 'touched', 'True', 'Propagated', [`${told} a target were told of the present token`])
        continue
      }
      this.#finish(job, 'touched', 'True', 'ConsumersNeedRestart', [
        `${told} a target were told of the present token`,
        `${listed(unreachable)} read it from environment or subPath, and see it only when restarted: name the workload in spec.restartOnRenewal`,
      ])
    }
  }

  async #restart(namespace: string, signal: AbortSignal): Promise<void> {
    const jobs = this.#pending(namespace, 'restarted')
    const notes = new Map<string, string>()
    for (const { kind, name, writtenAtWall } of workloadsOf(jobs)) {
      const outcome = await restartWorkload(this.#options, kind, { namespace, name }, writtenAtWall, signal)
      if (outcome === 'restarted') this.#options.log.info({ namespace, kind, name }, 'workload was restarted')
      notes.set(`${kind} ${name}`, restartNotes[outcome])
    }
    for (const job of jobs) {
      const own = (job.credential.spec.restartOnRenewal ?? []).map(({ kind, name }) => `${kind} ${name}`)
      const told = own.map((workload) => `${workload}: ${notes.get(workload) ?? ''}`)
      this.#finish(job, 'restarted', 'True', 'Propagated', told)
    }
    this.#restarts.forget(namespace)
  }

  #pending(namespace: string, part: 'touched' | 'restarted'): Job[] {
    return [...this.#jobs.values()].filter((job) => {
      return (
        job.credential.namespace === namespace && (job[part] === undefined || job[part].reason === 'PropagationFailed')
      )
    })
  }

  #finish(
    job: Job,
    part: 'touched' | 'restarted',
    status: ConditionStatus,
    reason: Reason,
    notes: readonly string[],
  ): void {
    job[part] = { status, reason, notes }
    this.#options.onChange(job.credential.key)
  }

  /** What was refused is not asked again before the next token; everything else is tried on, by the queue. */
  #fail(namespace: string, part: 'touched' | 'restarted', error: unknown): void {
    const queue = part === 'touched' ? this.#touches : this.#restarts
    const detail = error instanceof ApiError ? error.message : 'unexpected error'
    this.#options.log.warn({ namespace, detail }, 'consumers could not be told of the token')
    if (isForbidden(error)) {
      const what = part === 'touched' ? 'list and patch Pods' : 'get and patch the workloads'
      const note = `the operator may not ${what} in namespace ${namespace} (HTTP 403): install deploy/components/consumers`
      for (const job of this.#pending(namespace, part)) this.#finish(job, part, 'False', 'PropagationForbidden', [note])
      return
    }
    if (queue.retries(namespace) < quietFailures) return
    for (const job of this.#pending(namespace, part)) this.#finish(job, part, 'False', 'PropagationFailed', [detail])
  }

  #queue(name: string, onError: (namespace: string, error: unknown) => void): WorkQueue<string> {
    const { clock, queueObserver, random } = this.#options
    return new WorkQueue<string>({
      name,
      clock,
      random,
      ...(queueObserver === undefined ? {} : { observer: queueObserver }),
      handlingLimitMs: () => handlingLimitMs,
      onError,
    })
  }
}

/** The workloads of some jobs, each once: with the last moment when one of its tokens was written. */
function workloadsOf(jobs: readonly Job[]): Iterable<WorkloadRef & { readonly writtenAtWall: number }> {
  const workloads = new Map<string, WorkloadRef & { readonly writtenAtWall: number }>()
  for (const { credential, writtenAtWall } of jobs) {
    for (const { kind, name } of credential.spec.restartOnRenewal ?? []) {
      const known = workloads.get(`${kind} ${name}`)?.writtenAtWall ?? writtenAtWall
      workloads.set(`${kind} ${name}`, { kind, name, writtenAtWall: Math.max(known, writtenAtWall) })
    }
  }
  return workloads.values()
}

/** The pod's workload is restarted anyway. */
function isRestarted({ spec: { restartOnRenewal = [] } }: Credential, pod: Pod): boolean {
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
