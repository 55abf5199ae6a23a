import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { apiVersion, kind, managedBy as fieldManager } from './api/v1alpha1/names.ts'
import type { BindAddress } from './config/flags.ts'
import type { RunConfig } from './config/run-config.ts'
import { Consumers } from './consumers/consumers.ts'
import { isGatewayAllowed } from './config/allowed-gateways.ts'
import { Applications } from './tokens/applications.ts'
import { GatewayDispatchers } from './enos/gateway-dispatchers.ts'
import { Timestamps } from './enos/timestamps.ts'
import { type CallResult, TokenClient } from './enos/token-client.ts'
import { connect } from './kubernetes/connect.ts'
import { EventRecorder } from './kubernetes/event-recorder.ts'
import { guardWrites } from './kubernetes/guarded-client.ts'
import { LeaderElector } from './kubernetes/leader-election.ts'
import type { WorkQueueSnapshot } from './kubernetes/work-queue.ts'
import { SystemClock } from './lib/clock.ts'
import { systemRandom } from './lib/random.ts'
import { createCaches } from './observe/caches.ts'
import { Executor } from './reconcile/executor.ts'
import { overdueCredentials } from './observe/overdue.ts'
import { Reconciler } from './reconcile/reconciler.ts'
import { samplesOf } from './telemetry/credential-samples.ts'
import { TargetExecutor } from './reconcile/target-executor.ts'
import { TargetWriter } from './targets/target-writer.ts'
import { type HttpServer, type Routes, startHttpServer } from './telemetry/http-server.ts'
import type { Log } from './lib/log.ts'
import { createLogger } from './telemetry/logger.ts'
import { Metrics } from './telemetry/metrics.ts'
import { probeRoutes } from './telemetry/probes.ts'
import { version } from './version.ts'
import { Watches } from './observe/watches.ts'

/** At a stop, what is under way is given this long, in this order: 7 s in all, and Kubernetes gives 30 s by default. */
const drainMs = { applications: 3000, idle: 1500, reconciler: 2000, events: 500 }

/**
 * Runs the operator until the signal aborts.
 *
 * @returns the process's exit code: 0 after a stop that was asked for, 1 when the lease was lost
 */
export async function runOperator(config: RunConfig, signal: AbortSignal): Promise<number> {
  const clock = new SystemClock()
  const random = systemRandom
  const log = createLogger({ level: config.logLevel, format: config.logFormat })
  const metrics = new Metrics({ version, leaseName: config.leaderElectLeaseName })
  const userAgent = `enos-credential-operator/${version}`
  const identity = `${hostname()}_${randomUUID()}`

  const connection = connect({
    kubeconfig: config.kubeconfig,
    clock,
    userAgent,
    fieldManager,
    onAnswer: (answer) => {
      metrics.onApiAnswer(answer)
    },
  })
  const elector = config.leaderElect
    ? new LeaderElector({
        client: connection.client,
        clock,
        random,
        log,
        identity,
        namespace: config.leaderElectNamespace ?? connection.currentNamespace,
        name: config.leaderElectLeaseName,
        onStartedLeading: () => {
          startWorking()
        },
        onStoppedLeading: () => {
          metrics.setLeading(false)
        },
      })
    : undefined
  // A replica whose lease may have run out sends nothing more, whatever it was about to.
  const isLeading = (): boolean => elector?.isLeading() ?? true
  const client = guardWrites(connection.client, isLeading)

  const caches = createCaches()
  const watches = new Watches({ client, caches, namespaces: config.namespaces, clock, random, log })
  const events = new EventRecorder({
    client,
    clock,
    random,
    log,
    reportingController: 'enos.io/credential-operator',
    reportingInstance: hostname(),
  })
  const dispatchers = new GatewayDispatchers({ proxy: config.proxy })
  const tokenClient = new TokenClient({
    dispatchers,
    clock,
    timestamps: new Timestamps(clock),
    observer: metrics.gateways,
    userAgent,
  })
  const applications: Applications = new Applications({
    clock,
    random,
    log,
    client: {
      call: async (request, stop) => (isLeading() ? await tokenClient.call(request, stop) : notLeading),
    },
    gatewayMaxConcurrency: config.gatewayMaxConcurrency,
    summonHolders: (url, fingerprint, stop) => reconciler.summonHolders(url, fingerprint, stop),
    onChange: (keys, isUrgent) => {
      reconciler.enqueue(keys, isUrgent)
    },
    onAttempt: (keys, operation, result) => {
      metrics.onAttempt(keys, operation, result)
    },
    queueObserver: metrics.queues,
  })
  const consumers = new Consumers({
    client,
    credentials: caches.credentials,
    clock,
    random,
    log,
    queueObserver: metrics.queues,
    onChange: (key) => {
      reconciler.enqueue([key])
    },
  })
  const writer = new TargetWriter({
    client,
    fieldManager,
    onWrite: (operation, result) => {
      metrics.onTargetWrite(operation, result)
    },
  })
  const reconciler: Reconciler = new Reconciler({
    caches,
    applications,
    propagations: consumers,
    executor: new Executor({
      client,
      caches,
      applications,
      targets: new TargetExecutor({ writer, secrets: caches.secrets }),
      propagator: consumers,
      clock,
      emitEvent: ({ name, namespace, uid, resourceVersion }, event) => {
        events.record({ regarding: { apiVersion, kind, namespace, name, uid, resourceVersion }, ...event })
      },
    }),
    configMapsSynced: (namespace) => watches.configMapsSynced(namespace),
    clock,
    random,
    log,
    isGatewayAllowed: (url) => isGatewayAllowed(config.allowedGateways, url),
    fieldManager,
    queueObserver: metrics.queues,
    onRenewed: (headroomMs) => {
      metrics.onHeadroom(headroomMs)
    },
    onGone: (key) => {
      metrics.forget(key)
    },
  })

  const queues = (): WorkQueueSnapshot[] => [
    reconciler.snapshot(),
    ...applications.queues().map((queue) => queue.snapshot()),
    ...consumers.queues(),
  ]
  metrics.connect({
    credentials: () => samplesOf(caches, (key) => reconciler.state(key), clock),
    gateways: () => applications.gateways(),
    queues,
  })
  metrics.setLeading(elector === undefined)
  /** Who has led never stands by again: it works, or it ends. */
  let hasLed = false
  let hasBegun = false
  const probes = probeRoutes({
    clock,
    log,
    hasSynced: () => watches.hasSynced(),
    oldestContactAt: () => watches.oldestContactAt,
    electedAt: () => elector?.lastRoundAt,
    // Also while it should have begun and has not.
    isWorking: () => hasLed && (hasBegun || watches.hasSynced()),
    queues,
    overdue: (dueBefore) =>
      overdueCredentials(caches, (key) => reconciler.isQueued(key) && applications.isQueued(key), dueBefore),
  })
  const servers = await startServers(config, log, metrics, probes)

  const watching = new AbortController()
  const leading = new AbortController()
  function startWorking(): void {
    hasLed = true
    metrics.setLeading(true)
    const run = (): void => {
      if (watching.signal.aborted) return
      const refused = watches.refused()
      if (refused.length > 0) {
        log.warn(
          { namespaces: refused },
          'the API server refuses these namespaces; working on the others until it does not',
        )
      }
      log.info({ credentials: caches.credentials.size }, 'caches are complete; working')
      hasBegun = true
      reconciler.run(config.maxConcurrentReconciles)
    }
    void watches.synced().then(run)
  }

  log.info({ version, namespaces: config.namespaces, leaderElect: config.leaderElect }, 'starting')
  watches.start(watching.signal)
  const election = elector?.run(leading.signal)
  if (elector === undefined) startWorking()
  const isLost = await Promise.race([aborted(signal), ...(election === undefined ? [] : [election.then(() => true)])])

  if (isLost) log.error('the lease was lost; stopping, so that a restart begins anew')
  else log.info('stopping')
  await applications.shutDown(isLost ? 0 : drainMs.applications)
  // What the last attempts brought is still written.
  if (!isLost && isLeading()) await reconciler.idle(drainMs.idle)
  await Promise.all([
    reconciler.shutDown(isLost ? 0 : drainMs.reconciler),
    consumers.shutDown(isLost ? 0 : drainMs.reconciler),
  ])
  await events.flush(isLost ? 0 : drainMs.events)
  watching.abort()
  leading.abort()
  await election
  await Promise.all([watches.ended(), dispatchers.close(), ...servers.map((server) => server.close())])
  await connection.close()
  log.info('stopped')
  return isLost ? 1 : 0
}

const notLeading: CallResult = {
  kind: 'failed',
  failure: { class: 'retry', reason: 'GatewayUnreachable', message: 'this replica does not lead; nothing was sent' },
}

async function startServers(
  { healthProbeBindAddress, metricsBindAddress }: RunConfig,
  log: Log,
  metrics: Metrics,
  probes: Routes,
): Promise<HttpServer[]> {
  const servers: HttpServer[] = []
  const serve = async (what: string, address: BindAddress | undefined, routes: Routes): Promise<void> => {
    if (address === undefined) return
    const server = await startHttpServer({ address, routes, log })
    servers.push(server)
    log.info({ serves: what, host: address.host, port: server.port }, 'listening')
  }
  await serve('metrics', metricsBindAddress, {
    '/metrics': async () => ({ status: 200, ...(await metrics.render()) }),
  })
  await serve('probes', healthProbeBindAddress, probes)
  return servers
}

/** Resolves when the signal aborts. */
async function aborted(signal: AbortSignal): Promise<false> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  return false
}
