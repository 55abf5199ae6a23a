import { isDeepStrictEqual } from 'node:util'
import { ApiError } from '../kubernetes/errors.ts'
import type { KubernetesClient, ObjectKey } from '../kubernetes/types.ts'
import { WorkQueue, type WorkQueueObserver, type WorkQueueSnapshot } from '../kubernetes/work-queue.ts'
import { type Backoff, backoffMs } from '../lib/backoff.ts'
import { type Clock, sleep } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import type { Caches } from '../observe/caches.ts'
import type { Propagation, PropagationRequest } from '../observe/observed.ts'
import type { Propagator } from '../reconcile/executor.ts'
import { JobStore } from './job-store.ts'
import { annotatePod, runningPods } from './pod-client.ts'
import { PodPlan, type PodToAnnotate } from './pod-plan.ts'
import {
  createJob,
  isOver,
  isSilent,
  isWanted,
  noWork,
  outcomeOf,
  type Part,
  type PartResult,
  type PropagationJob,
  type Task,
} from './propagation-job.ts'
import { detailOf, failureResult, isRefusal, namespaceResult, podsResult } from './results.ts'
import { workloadsResult } from './rollout-results.ts'
import { restartWorkload } from './workload-client.ts'
import { dueTasks, namedWorkloads, type WorkloadState } from './workload-plan.ts'

export interface ConsumersOptions {
  readonly client: Pick<KubernetesClient, 'get' | 'list' | 'patch'>
  readonly credentials: Pick<Caches['credentials'], 'get'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly queueObserver?: WorkQueueObserver
  /** The propagation of a credential has a new outcome. */
  readonly onChange: (key: ObjectKey) => void
}

/** So many pods are annotated at a time, then there is a pause: at most 100 a second in a namespace. */
const podBatchSize = 10
const podPauseMs = 100
/** Namespaces that are handled at a time. */
const concurrency = 4
/** A namespace has as many batches as it has pods, each with calls of its own. */
const handlingLimitMs = 30 * 60_000
const backoff: Backoff = { baseMs: 200, capMs: 5 * 60_000 }
/** What a person must change first: a permission, a policy, a workload that does not exist. */
const patientBackoff: Backoff = { baseMs: 10_000, capMs: 5 * 60_000 }
/** After more failures than these the condition reports them; the retries go on. */
const quietFailures = 3

/**
 * Propagates new tokens to running consumers: pods that mount a target are annotated, so that their kubelet syncs the
 * volume at once, and workloads that read a target from their environment are restarted. The queues' keys are namespaces:
 * the pods of a namespace are listed once for all its credentials.
 */
export class Consumers implements Propagator {
  readonly #options: ConsumersOptions
  readonly #jobs = new JobStore()
  readonly #queues: Readonly<Record<Part, WorkQueue<string>>>

  constructor(options: ConsumersOptions) {
    this.#options = options
    this.#queues = { pods: this.#createQueue('pods', 'pods'), workloads: this.#createQueue('restarts', 'workloads') }
    this.#queues.pods.run(concurrency, (namespace, signal) => this.#propagateToPods(namespace, signal))
    this.#queues.workloads.run(concurrency, (namespace, signal) => this.#restartWorkloads(namespace, signal))
  }

  propagate(request: PropagationRequest): void {
    const now = this.#options.clock.now()
    const known = this.#jobs.get(request.credential.key)
    const job = known !== undefined && isContinued(known, request) ? known : createJob(request, now)
    job.generation = request.credential.generation
    this.#jobs.set(job)
    for (const part of ['pods', 'workloads'] as const) {
      // The changed spec may be the one that a refusal waits for.
      if (job.results[part]?.status === 'False') job.dueAt[part] = now
      this.#enqueue(job.namespace, part, job.dueAt[part])
    }
  }

  propagation(key: ObjectKey): Propagation | undefined {
    const job = this.#jobs.get(key)
    if (job === undefined) return undefined
    const { fingerprint, generation } = job
    return { fingerprint, generation, isSilent: isSilent(job), outcome: outcomeOf(job) }
  }

  forget(key: ObjectKey): void {
    this.#jobs.remove(key)
  }

  queues(): WorkQueueSnapshot[] {
    return Object.values(this.#queues).map((queue) => queue.snapshot())
  }

  async shutDown(drainMs: number): Promise<void> {
    await Promise.all(Object.values(this.#queues).map((queue) => queue.shutDown({ drainMs })))
  }

  async #propagateToPods(namespace: string, signal: AbortSignal): Promise<void> {
    const { client, clock } = this.#options
    const due = this.#pendingTasks(namespace, 'pods').filter(({ job }) => job.dueAt.pods <= clock.now())
    const plan = new PodPlan(due)
    if (due.length > 0) {
      for await (const pod of runningPods(client, namespace, signal)) plan.add(pod)
      await this.#annotate(namespace, plan.toAnnotate, signal)
    }
    for (const task of plan.tasks) {
      if (task.failures.size > 0) this.#fail('pods', task, podsResult(task).notes)
      else this.#succeed(task.job, 'pods', podsResult(task), Infinity)
    }
    this.#endRound('pods', namespace, plan.tasks)
  }

  async #annotate(namespace: string, pods: readonly PodToAnnotate[], signal: AbortSignal): Promise<void> {
    const { client, clock, log } = this.#options
    let count = 0
    for (let at = 0; at < pods.length; at += podBatchSize) {
      if (at > 0) await sleep(clock, podPauseMs, signal)
      const batch = pods.slice(at, at + podBatchSize).map(async ({ fingerprint, pod, tasks }) => {
        const annotate = (): Promise<boolean> => annotatePod(client, pod, fingerprint, signal)
        if ((await noteFailure(`Pod ${pod.name}`, tasks, annotate)) === true) count++
      })
      await Promise.all(batch)
    }
    if (count > 0) log.info({ namespace, pods: count }, 'pods annotated with the new token')
  }

  async #restartWorkloads(namespace: string, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options
    const tasks = dueTasks(this.#pendingTasks(namespace, 'workloads'), clock.now())
    const states = new Map<string, WorkloadState>()
    for (const [name, workload] of namedWorkloads(tasks)) {
      if (signal.aborted) return
      const restart = (): Promise<WorkloadState> => restartWorkload(this.#options, workload, signal)
      const state = await noteFailure(name, workload.tasks, restart)
      if (state === undefined) continue
      states.set(name, state)
      if (state !== 'restarted') continue
      log.info({ namespace, workload: name }, 'workload restarted')
      for (const { job } of workload.tasks) {
        job.restarted.add(name)
        job.checks = 0
      }
    }
    for (const task of tasks) {
      const { nextLook, notes, result } = workloadsResult(task, states)
      if (task.failures.size > 0) {
        this.#fail('workloads', task, notes)
        continue
      }
      task.job.checks++
      if (nextLook === 'absent') this.#finish(task.job, 'workloads', result, this.#retryAt(task.job, 'workloads', true))
      else this.#succeed(task.job, 'workloads', result, clock.now() + (nextLook?.delayMs ?? Infinity))
    }
    this.#endRound('workloads', namespace, tasks)
  }

  /** The tasks of a part that is not over, each with the spec as it is now. */
  #pendingTasks(namespace: string, part: Part): Task[] {
    const tasks: Task[] = []
    for (const job of this.#jobs.inNamespace(namespace)) {
      if (isOver(job, part)) continue
      const credential = this.#options.credentials.get(job.key)
      // Without a job the token is propagated anew, should the spec still ask for it.
      if (credential?.spec === undefined || credential.isDeleting || credential.uid !== job.uid) this.forget(job.key)
      else if (isWanted(credential.spec, part)) tasks.push({ job, spec: credential.spec, failures: new Map() })
      else this.#finish(job, part, noWork, Infinity)
    }
    return tasks
  }

  /** Sets the result of a task with failed calls: what was refused waits for a person, all else is retried with backoff. */
  #fail(part: Part, task: Task, notes: readonly string[]): void {
    const { job } = task
    const result = failureResult(part, task, notes)
    const isRefused = result.reason === 'PropagationForbidden'
    const retryAt = this.#retryAt(job, part, isRefused)
    const isQuiet = !isRefused && job.failures[part] <= quietFailures
    this.#finish(job, part, isQuiet ? job.results[part] : result, retryAt)
  }

  #retryAt(job: PropagationJob, part: Part, isPatient: boolean): number {
    const { clock, random } = this.#options
    return clock.now() + backoffMs(isPatient ? patientBackoff : backoff, ++job.failures[part], random)
  }

  #succeed(job: PropagationJob, part: Part, result: PartResult | undefined, dueAt: number): void {
    job.failures[part] = 0
    this.#finish(job, part, result, dueAt)
  }

  #finish(job: PropagationJob, part: Part, result: PartResult | undefined, dueAt: number): void {
    job.dueAt[part] = dueAt
    const isChanged = !isDeepStrictEqual(result, job.results[part])
    job.results[part] = result
    if (isChanged) this.#options.onChange(job.key)
  }

  #endRound(part: Part, namespace: string, tasks: readonly Task[]): void {
    const errors = new Map(tasks.flatMap(({ failures }) => [...failures]))
    if (errors.size > 0) this.#warn(namespace, [...errors.values()])
    this.#queues[part].forget(namespace)
    // Each job has a time of its own, so that none delays another.
    this.#enqueue(namespace, part, Math.min(...this.#jobs.inNamespace(namespace).map((job) => job.dueAt[part])))
  }

  #enqueue(namespace: string, part: Part, dueAt: number): void {
    const delayMs = dueAt - this.#options.clock.now()
    if (delayMs <= 0) this.#queues[part].add(namespace)
    else if (delayMs < Infinity) this.#queues[part].addAfter(namespace, delayMs)
  }

  /** A handler threw: nothing could be done in the whole namespace. The queue retries it. */
  #failNamespace(namespace: string, part: Part, error: unknown): void {
    const now = this.#options.clock.now()
    this.#warn(namespace, [error])
    const isRefused = isRefusal(error)
    if (!isRefused && this.#queues[part].retries(namespace) < quietFailures) return
    const result = namespaceResult(namespace, error)
    for (const { job } of this.#pendingTasks(namespace, part)) {
      if (job.dueAt[part] > now) continue
      this.#finish(job, part, result, isRefused ? this.#retryAt(job, part, true) : now)
    }
  }

  #warn(namespace: string, errors: readonly unknown[]): void {
    const fields = { namespace, failures: errors.length, detail: detailOf(errors[0]) }
    this.#options.log.warn(fields, 'failed to propagate the token')
  }

  #createQueue(name: string, part: Part): WorkQueue<string> {
    const { clock, queueObserver, random } = this.#options
    return new WorkQueue<string>({
      name,
      clock,
      random,
      backoff,
      ...(queueObserver === undefined ? {} : { observer: queueObserver }),
      handlingLimitMs: () => handlingLimitMs,
      onError: (namespace, error) => {
        this.#failNamespace(namespace, part, error)
      },
    })
  }
}

/** Whether a changed spec meets a propagation of the same token that is under way: it goes by the present spec anyhow. */
function isContinued(job: PropagationJob, { credential, fingerprint, occasion }: PropagationRequest): boolean {
  if (occasion !== 'specChange' || job.uid !== credential.uid || job.fingerprint !== fingerprint) return false
  return (['pods', 'workloads'] as const).some((part) => isWanted(credential.spec, part) && !isOver(job, part))
}

/** Runs a call for one pod or workload. A failed call is noted with its tasks and affects no others. */
async function noteFailure<T>(name: string, tasks: readonly Task[], call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call()
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    for (const { failures } of tasks) failures.set(name, error)
    return undefined
  }
}
