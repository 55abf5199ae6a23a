import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { apiVersion, kind, managedBy as fieldManager } from './api/v1alpha1/names.ts'
import { isGatewayAllowed } from './config/allowed-gateways.ts'
import type { RunConfig } from './config/run-config.ts'
import { GatewayDispatchers } from './enos/gateway-dispatchers.ts'
import { Timestamps } from './enos/timestamps.ts'
import { type CallResult, TokenClient } from './enos/token-client.ts'
import { type ApiConnection, connect } from './kubernetes/connect.ts'
import { EventRecorder } from './kubernetes/event-recorder.ts'
import { guardWrites } from './kubernetes/guarded-client.ts'
import { LeaderElector } from './kubernetes/leader-election.ts'
import { aborted } from './lib/aborted.ts'
import { type Clock, SystemClock } from './lib/clock.ts'
import { ClockJumpWatch } from './lib/clock-jump.ts'
import { createIdleCollector, type IdleCollector } from './lib/idle-collector.ts'
import type { Log } from './lib/log.ts'
import { type Random, systemRandom } from './lib/random.ts'
import { type Caches, createCaches } from './observe/caches.ts'
import { warnOfEmptyNamespaces } from './observe/empty-namespaces.ts'
import { Watches } from './observe/watches.ts'
import { createOperator, type Operator, type OperatorObserver } from './operator.ts'
import { samplesOf } from './telemetry/credential-samples.ts'
import type { Routes } from './telemetry/http-server.ts'
import type { LogOutput } from './telemetry/log-output.ts'
import { Metrics } from './telemetry/metrics.ts'
import { apiObserver, gatewayObserver } from './telemetry/observers.ts'
import { probeRoutes } from './telemetry/probes.ts'
import { startServers } from './telemetry/servers.ts'
import { openLog } from './telemetry/standard-output.ts'
import { version } from './version.ts'

/** How long running work may go on at a stop, in this order, ms: 7 s in all, and Kubernetes gives 30 s by default. */
const drainLimits = { applications: 3000, idle: 1500, reconciler: 2000, events: 500 }
/** Without the lease nothing may be written any more. */
const noDrain = { applications: 0, idle: 0, reconciler: 0, events: 0 }

/**
 * Runs the operator until the signal aborts.
 *
 * @returns the process's exit code: 0 after a requested stop, 1 when the lease was lost
 */
export async function runOperator(config: RunConfig, signal: AbortSignal): Promise<number> {
  const app = build(config)
  try {
    return await runToEnd(app, signal)
  } finally {
    await app.logOutput.flush()
  }
}

async function runToEnd(app: App, signal: AbortSignal): Promise<number> {
  const { clock, config, log, metrics } = app
  const routes = { metrics: { '/metrics': () => metrics.render() }, probes: probesOf(app) }
  const servers = await startServers({ config, clock, log, routes })
  const { election, isLost } = await run(app, signal)
  await drain(app, isLost)
  await election
  await Promise.all([app.watches.ended(), app.dispatchers.close(), ...servers.map((server) => server.close())])
  await app.connection.close()
  log.info('stopped')
  return isLost ? 1 : 0
}

/** Everything that the process consists of. */
interface App {
  readonly config: RunConfig
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly logOutput: LogOutput
  readonly metrics: Metrics
  readonly connection: ApiConnection
  /** Undefined without leader election. */
  readonly elector: LeaderElector | undefined
  readonly caches: Caches
  readonly watches: Watches
  readonly events: EventRecorder
  readonly dispatchers: GatewayDispatchers
  readonly operator: Operator
  readonly clockJumps: ClockJumpWatch
  readonly idleCollector: IdleCollector
  /** Ends the watches. */
  readonly watching: AbortController
  /** Gives the lease back. */
  readonly leading: AbortController
  /** A replica that has led never stands by again: it works, or it exits. */
  readonly work: { hasLed: boolean; hasBegun: boolean }
}

const userAgent = `enos-credential-operator/${version}`

/** The parts that all others are built from. */
type Basis = Pick<App, 'config' | 'clock' | 'random' | 'log' | 'logOutput' | 'metrics' | 'connection'>

function buildBasis(config: RunConfig): Basis {
  const clock = new SystemClock()
  const { log, logOutput } = openLog(config, process, clock)
  for (const misspelled of config.misspelledVariables) log.warn(misspelled, 'unknown environment variable is ignored')
  const metrics = new Metrics({ version, leaseName: config.leaderElectLeaseName, logOutput })
  const onAnswer = apiObserver(metrics, log)
  const connection = connect({ kubeconfig: config.kubeconfig, clock, userAgent, fieldManager, onAnswer })
  return { config, clock, random: systemRandom, log, logOutput, metrics, connection }
}

function build(config: RunConfig): App {
  const basis = buildBasis(config)
  const { clock, connection, log, metrics, random } = basis
  const elector = config.leaderElect ? createElector(basis, () => startWorking(app)) : undefined
  // A replica whose lease may have run out sends nothing more.
  const isLeading = (): boolean => elector?.isLeading() ?? true
  const client = guardWrites(connection.client, isLeading)
  const caches = createCaches(config.watchLabelSelector)
  const watches = new Watches({ client, caches, namespaces: config.namespaces, clock, random, log })
  const dispatchers = new GatewayDispatchers({ proxy: config.proxy })
  const timestamps = new Timestamps(clock)
  const observer = gatewayObserver(metrics, log)
  const tokenClient = new TokenClient({ dispatchers, clock, timestamps, observer, userAgent })
  const events = new EventRecorder({
    client,
    clock,
    random,
    log,
    reportingController: 'enos.io/credential-operator',
    reportingInstance: hostname(),
  })
  const operator = createOperator({
    client,
    caches,
    clock,
    random,
    log,
    tokenClient: {
      call: async (request, stop) => (isLeading() ? await tokenClient.call(request, stop) : notLeading),
    },
    gatewayMaxConcurrency: config.gatewayMaxConcurrency,
    configMapsSynced: (namespace) => watches.configMapsSynced(namespace),
    isGatewayAllowed: (url) => isGatewayAllowed(config.allowedGateways, url),
    isLeading,
    emitEvent: ({ name, namespace, uid, resourceVersion }, event) => {
      events.record({ regarding: { apiVersion, kind, namespace, name, uid, resourceVersion }, ...event })
    },
    observer: observerOf(metrics),
  })
  const [watching, leading] = [new AbortController(), new AbortController()]
  const clockJumps = new ClockJumpWatch(clock, (jumpMs) => {
    operator.onClockJump(jumpMs)
  })
  const app: App = {
    ...basis,
    elector,
    caches,
    watches,
    events,
    clockJumps,
    idleCollector: createIdleCollector(clock),
    dispatchers,
    operator,
    watching,
    leading,
    work: { hasLed: false, hasBegun: false },
  }
  connectMetrics(app)
  return app
}

function connectMetrics({ caches, clock, elector, metrics, operator, watches }: App): void {
  metrics.connect({
    // A standby has no series of resources while another replica leads, which has them.
    credentials: () =>
      elector?.isLeading() === false && elector.isOtherLeading()
        ? []
        : samplesOf(caches, operator.state, clock, operator.attempts),
    hasCredential: (key) => caches.credentials.get(key) !== undefined,
    gateways: () => operator.gateways(),
    queues: () => operator.queues(),
    watches: () => watches.lastContacts(),
  })
  metrics.setLeading(elector === undefined)
}

function createElector(
  { clock, config, connection, log, metrics, random }: Basis,
  onStartedLeading: () => void,
): LeaderElector {
  return new LeaderElector({
    client: connection.client,
    clock,
    random,
    log,
    identity: `${hostname()}_${randomUUID()}`,
    namespace: config.leaderElectNamespace ?? connection.currentNamespace,
    name: config.leaderElectLeaseName,
    onStartedLeading,
    onStoppedLeading: () => {
      metrics.setLeading(false)
    },
  })
}

function observerOf(metrics: Metrics): OperatorObserver {
  return {
    queues: metrics.queues,
    onAttempt: (keys, operation, result) => {
      metrics.onAttempt(keys, operation, result)
    },
    onTargetWrite: (operation, reason, result) => {
      metrics.onTargetWrite(operation, reason, result)
    },
    onRenewed: (headroomMs) => {
      metrics.onHeadroom(headroomMs)
    },
    onGone: (key) => {
      metrics.forget(key)
    },
  }
}

/** @returns once the signal aborts, or the lease is lost */
async function run(
  app: App,
  signal: AbortSignal,
): Promise<{ readonly election: Promise<unknown> | undefined; readonly isLost: boolean }> {
  const { config, connection, elector, log, watches } = app
  const { leaderElect, namespaces, watchLabelSelector: selector } = config
  log.info({ version, ...connection.origin, namespaces, labelSelector: selector?.text, leaderElect }, 'starting')
  watches.start(app.watching.signal)
  app.idleCollector.start()
  const election = elector?.run(app.leading.signal)
  if (elector === undefined) startWorking(app)
  const isLost = await Promise.race([
    aborted(signal).then(() => false),
    ...(election === undefined ? [] : [election.then(() => true)]),
  ])
  return { election, isLost }
}

/** Starts the workers once the caches are synced. */
function startWorking(app: App): void {
  const { caches, clockJumps, config, connection, log, metrics, operator, watches, watching, work } = app
  work.hasLed = true
  metrics.setLeading(true)
  const begin = (): void => {
    if (watching.signal.aborted) return
    const namespaces = watches.refused()
    if (namespaces.length > 0) {
      log.warn({ namespaces }, 'the API server refuses these namespaces, starting workers without them')
    }
    log.info({ credentials: caches.credentials.size }, 'caches synced, starting workers')
    void warnOfEmptyNamespaces(connection.client, caches, config.namespaces, log)
    work.hasBegun = true
    operator.run(config.maxConcurrentReconciles)
    clockJumps.start()
  }
  void watches.synced().then(begin)
}

/** Ends running work, then the watches, and gives the lease back. */
async function drain(
  { clockJumps, elector, events, idleCollector, leading, log, operator, watching }: App,
  isLost: boolean,
): Promise<void> {
  if (isLost) log.error('leader election lost, exiting')
  else log.info('stopping')
  clockJumps.stop()
  idleCollector.stop()
  const isLeading = elector?.isLeading() ?? true
  const limits = isLost ? noDrain : drainLimits
  // The tokens of the last attempts are still written, unless another replica leads.
  await operator.drain(isLeading ? limits : { ...limits, idle: 0 })
  await events.flush(limits.events)
  watching.abort()
  leading.abort()
}

const notLeading: CallResult = {
  kind: 'failed',
  failure: {
    class: 'retry',
    reason: 'GatewayUnreachable',
    message: 'this replica is not the leader, so no request was sent',
  },
}

function probesOf({ clock, elector, log, operator, watches, work }: App): Routes {
  return probeRoutes({
    clock,
    log,
    hasSynced: () => watches.hasSynced(),
    oldestProgressAt: () => watches.oldestProgressAt,
    electedAt: () => elector?.lastRoundAt,
    // Also while the workers should have started and have not.
    isWorking: () => work.hasLed && (work.hasBegun || watches.hasSynced()),
    queues: () => operator.queues(),
    overdue: (dueBefore) => operator.overdue(dueBefore),
  })
}
