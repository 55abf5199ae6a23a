import { ApiError, isForbidden } from '../kubernetes/errors.ts'
import type { KubernetesClient, ObjectKey } from '../kubernetes/types.ts'
import { WorkQueue, type WorkQueueObserver, type WorkQueueSnapshot } from '../kubernetes/work-queue.ts'
import { type Backoff, backoffMs } from '../lib/backoff.ts'
import { type Clock, sleep } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import type { Caches } from '../observe/caches.ts'
import type { Credential, Propagation } from '../observe/observed.ts'
import type { Propagator } from '../reconcile/executor.ts'
import { annotatePod, runningPods } from './pod-client.ts'
import { PodPlan, type PodToAnnotate } from './pod-plan.ts'
import {
  isDone,
  isWanted,
  noWork,
  outcomeOf,
  type Part,
  type PartResult,
  type PropagationJob,
  type Task,
} from './propagation-job.ts'
import { detailOf, failureResult, namespaceResult, podsResult, workloadsResult } from './results.ts'
import { type RestartOutcome, restartWorkload } from './workload-client.ts'
import { dueRestarts, workloadsToRestart } from './workload-plan.ts'

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
/** Tokens that come within this time share one restart of a workload. */
const restartDebounceMs = 2000
/** Namespaces that are handled at a time. */
const concurrency = 4
/** A namespace has as many batches as it has pods, each with calls of its own. */
const handlingLimitMs = 30 * 60_000
const backoff: Backoff = { baseMs: 200, capMs: 5 * 60_000 }
/** After more failures than these the condition tells of them; the retries go on. */
const quietFailures = 3

/**
 * Propagates new tokens to running consumers: pods that mount a target are annotated, so that their kubelet syncs the
 * volume at once, and workloads that read a target from their environment are restarted. The queues' keys are namespaces:
 * the pods of a namespace are listed once for all its credentials.
 */
export class Consumers implements Propagator {
  readonly #options: ConsumersOptions
  /** The last job of each credential; bounded by the number of credentials, since `forget` removes it with the credential. */
  readonly #jobs = new Map<ObjectKey, PropagationJob>()
  readonly #queues: Readonly<Record<Part, WorkQueue<string>>>

  constructor(options: ConsumersOptions) {
    this.#options = options
    this.#queues = { pods: this.#createQueue('pods', 'pods'), workloads: this.#createQueue('restarts', 'workloads') }
    this.#queues.pods.run(concurrency, (namespace, signal) => this.#propagateToPods(namespace, signal))
    this.#queues.workloads.run(concurrency, (namespace, signal) => this.#restartWorkloads(namespace, signal))
  }

  propagate({ key, namespace, spec, uid }: Credential, fingerprint: string, writtenAtWall: number): void {
    const job: PropagationJob = {
      key,
      uid,
      namespace,
      fingerprint,
      writtenAtWall,
      restartAt: this.#options.clock.now() + restartDebounceMs,
      failures: { pods: 0, workloads: 0 },
      results: {
        pods: isWanted(spec, 'pods') ? undefined : noWork,
        workloads: isWanted(spec, 'workloads') ? undefined : noWork,
      },
    }
    this.#jobs.set(key, job)
    if (!isDone(job, 'pods')) this.#queues.pods.add(namespace)
    if (!isDone(job, 'workloads')) this.#queues.workloads.addAfter(namespace, restartDebounceMs)
  }

  propagation(key: ObjectKey): Propagation | undefined {
    const job = this.#jobs.get(key)
    return job === undefined ? undefined : { fingerprint: job.fingerprint, outcome: outcomeOf(job) }
  }

  forget(key: ObjectKey): void {
    this.#jobs.delete(key)
  }

  queues(): WorkQueueSnapshot[] {
    return Object.values(this.#queues).map((queue) => queue.snapshot())
  }

  async shutDown(drainMs: number): Promise<void> {
    await Promise.all(Object.values(this.#queues).map((queue) => queue.shutDown({ drainMs })))
  }

  async #propagateToPods(namespace: string, signal: AbortSignal): Promise<void> {
    const pending = this.#pendingTasks(namespace, 'pods')
    if (pending.length === 0) {
      this.#queues.pods.forget(namespace)
      return
    }
    const plan = new PodPlan(pending)
    for await (const pod of runningPods(this.#options.client, namespace, signal)) plan.add(pod)
    await this.#annotate(namespace, plan.toAnnotate, signal)
    this.#conclude('pods', namespace, plan.tasks, podsResult)
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
    const { nextAt, tasks } = dueRestarts(this.#pendingTasks(namespace, 'workloads'), clock.now())
    if (nextAt !== undefined) this.#queues.workloads.addAfter(namespace, nextAt - clock.now())
    const outcomes = new Map<string, RestartOutcome>()
    for (const [name, workload] of workloadsToRestart(tasks)) {
      if (signal.aborted) return
      const restart = (): Promise<RestartOutcome> => restartWorkload(this.#options, workload, signal)
      const outcome = await noteFailure(name, workload.tasks, restart)
      if (outcome === undefined) continue
      if (outcome === 'restarted') log.info({ namespace, workload: name }, 'workload restarted')
      outcomes.set(name, outcome)
    }
    this.#conclude('workloads', namespace, tasks, (task) => workloadsResult(task, outcomes))
  }

  /** The tasks that are still pending, each with the spec as it is now. */
  #pendingTasks(namespace: string, part: Part): Task[] {
    const tasks: Task[] = []
    for (const job of this.#jobs.values()) {
      if (job.namespace !== namespace || isDone(job, part)) continue
      const credential = this.#options.credentials.get(job.key)
      // Without a job the token is propagated anew, should the spec still ask for it.
      if (credential?.spec === undefined || credential.isDeleting || credential.uid !== job.uid) this.forget(job.key)
      else if (isWanted(credential.spec, part)) tasks.push({ job, spec: credential.spec, failures: new Map() })
      else this.#finish(job, part, noWork)
    }
    return tasks
  }

  /** Sets the results of a round. What was refused waits for the next token; all other failures are retried. */
  #conclude<T extends Task>(part: Part, namespace: string, tasks: readonly T[], done: (task: T) => PartResult): void {
    const errors = new Map(tasks.flatMap((task) => [...task.failures]))
    if (errors.size > 0) this.#warn(namespace, [...errors.values()])
    let minFailures = Number.POSITIVE_INFINITY
    for (const task of tasks) {
      const { failures, job } = task
      const result = failures.size === 0 ? done(task) : failureResult(part, task, done(task))
      if (result.reason !== 'PropagationFailed') {
        this.#finish(job, part, result)
        continue
      }
      const times = ++job.failures[part]
      minFailures = Math.min(minFailures, times)
      if (times > quietFailures) this.#finish(job, part, result)
    }
    this.#queues[part].forget(namespace)
    // The delay is that of the task with the fewest failures, so that a permanent failure delays no other task.
    if (minFailures < Number.POSITIVE_INFINITY) {
      this.#queues[part].addAfter(namespace, backoffMs(backoff, minFailures, this.#options.random))
    }
  }

  #finish(job: PropagationJob, part: Part, result: PartResult): void {
    job.results[part] = result
    this.#options.onChange(job.key)
  }

  /** A handler threw: nothing could be done in the whole namespace. The queue retries it. */
  #failNamespace(namespace: string, part: Part, error: unknown): void {
    this.#warn(namespace, [error])
    if (!isForbidden(error) && this.#queues[part].retries(namespace) < quietFailures) return
    const result = namespaceResult(namespace, error)
    for (const { job } of this.#pendingTasks(namespace, part)) this.#finish(job, part, result)
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
