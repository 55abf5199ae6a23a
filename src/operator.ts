import { managedBy as fieldManager } from './api/v1alpha1/names.ts'
import { Consumers } from './consumers/consumers.ts'
import type { KubernetesClient, ObjectKey } from './kubernetes/types.ts'
import type { WorkQueueObserver, WorkQueueSnapshot } from './kubernetes/work-queue.ts'
import type { Clock } from './lib/clock.ts'
import type { Log } from './lib/log.ts'
import type { Random } from './lib/random.ts'
import type { Caches } from './observe/caches.ts'
import type { CredentialState } from './observe/credential-state.ts'
import { overdueCredentials } from './observe/overdue.ts'
import { Executor, type ExecutorOptions } from './reconcile/executor.ts'
import { LateRetention } from './reconcile/late-retention.ts'
import { Reconciler, type ReconcilerOptions } from './reconcile/reconciler.ts'
import { ResourceWriter } from './reconcile/resource-writer.ts'
import { SourceFetcher } from './reconcile/source-fetcher.ts'
import { TargetExecutor } from './reconcile/target-executor.ts'
import { TargetWriter, type TargetWriterOptions } from './targets/target-writer.ts'
import type { Attempts } from './tokens/application-view.ts'
import { Applications, type ApplicationsOptions } from './tokens/applications.ts'

/** Hears what the operator does, for metrics. */
export interface OperatorObserver extends Pick<ReconcilerOptions, 'onRenewed' | 'onGone'> {
  readonly queues?: WorkQueueObserver
  readonly onAttempt: ApplicationsOptions['onAttempt']
  readonly onTargetWrite: TargetWriterOptions['onWrite']
}

export interface OperatorOptions extends Pick<
  ReconcilerOptions,
  'configMapsSynced' | 'isGatewayAllowed' | 'isLeading'
> {
  readonly client: Pick<KubernetesClient, 'get' | 'list' | 'create' | 'patch' | 'delete'>
  /** Kept as the API server has them by someone else: watches, or a test. */
  readonly caches: Caches
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly tokenClient: ApplicationsOptions['client']
  /** Calls in flight for each gateway. */
  readonly gatewayMaxConcurrency: number
  readonly emitEvent: ExecutorOptions['emitEvent']
  readonly observer: OperatorObserver
}

/** How long each part may go on with running work, ms. */
export interface DrainLimits {
  readonly applications: number
  readonly idle: number
  readonly reconciler: number
}

export interface Operator {
  /** Starts the workers; changes in the caches wait until then. */
  run(maxConcurrentReconciles: number): void
  enqueue(keys: Iterable<ObjectKey>): void
  readonly state: (key: ObjectKey) => CredentialState | undefined
  /** The attempts of a member's application. */
  readonly attempts: (key: ObjectKey) => Attempts | undefined
  queues(): WorkQueueSnapshot[]
  gateways: Applications['gateways']
  /** Credentials whose renewal was due before that moment (wall clock, ms), and for which no queue holds an attempt. */
  overdue(dueBefore: number): Iterable<ObjectKey>
  /** The wall clock jumped ahead of the monotonic clock (`ClockJumpWatch`): every deadline comes nearer by that, in ms. */
  onClockJump(jumpMs: number): void
  /** Ends the workers: attempts first, then the writes of their tokens. */
  drain(limits: DrainLimits): Promise<void>
}

/**
 * Wires queues, tokens, plan, targets and consumers. The process, the tests' operator in memory and the worlds of the
 * property tests are made here.
 */
export function createOperator(options: OperatorOptions): Operator {
  const { caches, client, clock, log, observer, random } = options
  const common = { clock, random, log, ...(observer.queues === undefined ? {} : { queueObserver: observer.queues }) }
  const applications: Applications = new Applications({
    ...common,
    client: options.tokenClient,
    gatewayMaxConcurrency: options.gatewayMaxConcurrency,
    summonHolders: (url, fingerprint, signal) => reconciler.summonHolders(url, fingerprint, signal),
    onChange: (keys, isUrgent) => {
      reconciler.enqueue(keys, isUrgent)
    },
    onAttempt: observer.onAttempt,
  })
  const consumers = new Consumers({
    ...common,
    client,
    credentials: caches.credentials,
    onChange: (key) => {
      reconciler.enqueue([key])
    },
  })
  const { onTargetWrite } = observer
  const executor = createExecutor({ ...options, applications, propagator: consumers, onTargetWrite })
  const writer = new TargetWriter({ client, fieldManager, onWrite: onTargetWrite })
  const lateRetention = new LateRetention({ caches, writer, log })
  const reconciler: Reconciler = new Reconciler({
    ...options,
    ...common,
    ...observer,
    applications,
    executor,
    propagations: consumers,
    fieldManager,
  })
  return {
    run: (maxConcurrentReconciles) => {
      lateRetention.run()
      reconciler.run(maxConcurrentReconciles)
    },
    enqueue: reconciler.enqueue.bind(reconciler),
    state: (key) => reconciler.states.get(key),
    attempts: (key) => applications.attempts(key),
    queues: () => [
      reconciler.snapshot(),
      ...applications.queues().map((queue) => queue.snapshot()),
      ...consumers.queues(),
    ],
    gateways: () => applications.gateways(),
    overdue: (dueBefore) =>
      overdueCredentials(caches, (key) => reconciler.isQueued(key) && applications.isQueued(key), dueBefore),
    onClockJump: onClockJump.bind(undefined, reconciler, applications, caches),
    drain: async (limits) => {
      await Promise.all([applications.shutDown(limits.applications), lateRetention.shutDown()])
      await reconciler.idle(limits.idle)
      await Promise.all([reconciler.shutDown(limits.reconciler), consumers.shutDown(limits.reconciler)])
    },
  }
}

function onClockJump(
  reconciler: Reconciler,
  applications: Applications,
  { credentials }: Caches,
  jumpMs: number,
): void {
  reconciler.states.onClockJump(jumpMs)
  applications.onClockJump(jumpMs)
  // Resources that were only taken over have no application: a pass finds those that are due.
  reconciler.enqueue(credentials.keys())
}

/** The part of an operator that acts: it executes plans on the API server. */
export function createExecutor(
  options: Pick<OperatorOptions, 'client' | 'caches' | 'clock' | 'log' | 'emitEvent'> &
    Pick<ExecutorOptions, 'applications' | 'propagator'> & { readonly onTargetWrite: TargetWriterOptions['onWrite'] },
): Executor {
  const { caches, client, clock, onTargetWrite } = options
  const writer = new TargetWriter({ client, fieldManager, onWrite: onTargetWrite })
  return new Executor({
    ...options,
    resources: new ResourceWriter({ client, caches }),
    sources: new SourceFetcher({ client, caches }),
    targets: new TargetExecutor({ writer, secrets: caches.secrets, clock }),
  })
}
