import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { apiVersion, kind } from './api/v1alpha1/names.ts'
import type { RunConfig } from './config/run-config.ts'
import { Consumers } from './consumers/consumers.ts'
import { isGatewayAllowed } from './enos/allowed-gateways.ts'
import { Applications } from './enos/applications.ts'
import { GatewayDispatchers } from './enos/gateway-dispatchers.ts'
import { Timestamps } from './enos/timestamps.ts'
import { TokenClient } from './enos/token-client.ts'
import { connect } from './kubernetes/connect.ts'
import { EventRecorder } from './kubernetes/event-recorder.ts'
import { guardWrites } from './kubernetes/guarded-client.ts'
import { LeaderElector } from './kubernetes/leader-election.ts'
import { SystemClock } from './lib/clock.ts'
import { systemRandom } from './lib/random.ts'
import { createCaches } from './reconcile/caches.ts'
import { Executor } from './reconcile/executor.ts'
import { Reconciler } from './reconcile/reconciler.ts'
import { samplesOf } from './reconcile/samples.ts'
import { TargetExecutor } from './reconcile/target-executor.ts'
import { TargetWriter } from './targets/target-writer.ts'
import { startHttpServer } from './telemetry/http-server.ts'
import { createLogger } from './telemetry/logger.ts'
import { Metrics } from './telemetry/metrics.ts'
import { version } from './version.ts'
import { Watches } from './watches.ts'

/** The name under which the operator's writes stand in managedFields. */
const fieldManager = 'enos-credential-operator'
/** What is under way at a stop is given this long; Kubernetes gives 30 s by default. */
const drainMs = 7000

/**
 * Runs the operator until the signal aborts.
 *
 * @returns the process's exit code: 0 after a stop that was asked for, 1 when the lease was lost
 */
export async function runOperator(config: RunConfig, signal: AbortSignal): Promise<number> {
  const clock = new SystemClock()
  const random = systemRandom
  const log = createLogger({ level: config.logLevel, format: config.logFormat })
  const metrics = new Metrics({ version, clock })
  const userAgent = `enos-credential-operator/${version}`
  const identity = `${hostname()}_${randomUUID()}`

  const connection = connect({
    kubeconfig: config.kubeconfig,
    clock,
    userAgent,
    fieldManager,
    onAnswer: (answer) => metrics.onApiAnswer(answer),
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
        onStartedLeading: () => start(),
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
    observer: metrics.tokenClientObserver,
    userAgent,
  })
  const applications = new Applications({
    clock,
    random,
    log,
    client: tokenClient,
    gatewayMaxConcurrency: config.gatewayMaxConcurrency,
    gatherHolders: (url, fingerprint, stop) => reconciler.gatherHolders(url, fingerprint, stop),
    onChange: (keys, isUrgent) => {
      reconciler.enqueue(keys, isUrgent)
    },
    onAttempt: (keys, method, result) => {
      metrics.onAttempt(keys, method, result)
    },
    queueObserver: metrics.queueObserver,
  })
  const consumers = new Consumers({
    client,
    clock,
    random,
    log,
    events,
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
  const reconciler = new Reconciler({
    caches,
    applications,
    publications: consumers,
    executor: new Executor({
      client,
      caches,
      applications,
      targets: new TargetExecutor({ writer, secrets: caches.secrets, clock }),
      publisher: consumers,
      clock,
      notify: ({ name, namespace, uid, resourceVersion }, notice) => {
        events.record({ regarding: { apiVersion, kind, namespace, name, uid, resourceVersion }, ...notice })
      },
    }),
    configMapsSynced: () => watches.configMapsSynced(),
    clock,
    random,
    log,
    isGatewayAllowed: (url) => isGatewayAllowed(config.allowedGateways, url),
    fieldManager,
    queueObserver: metrics.queueObserver,
    onRenewed: (headroomMs) => {
      metrics.onHeadroom(headroomMs)
    },
    onGone: (key) => {
      metrics.forget(key)
    },
  })
}
