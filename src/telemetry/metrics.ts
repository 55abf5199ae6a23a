import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { type WriteReason, writeReasons } from '../api/v1alpha1/action-reasons.ts'
import type { Operation } from '../enos/operation.ts'
import type { ObjectKey } from '../kubernetes/types.ts'
import type { WorkQueueSnapshot } from '../kubernetes/work-queue.ts'
import type { WriteOperation } from '../targets/target-writer.ts'
import { type CredentialSample, writeCredentialMetrics } from './credential-metrics.ts'
import { GatewayMetrics, type GatewaySample } from './gateway-metrics.ts'
import type { LogOutput } from './log-output.ts'
import { QueueMetrics } from './queue-metrics.ts'
import { type AttemptResult, RenewalCounts } from './renewal-counts.ts'
import { TextPieces } from './text-pieces.ts'

/** The sources that each scrape reads. */
export interface MetricsSources {
  /** Called once a scrape, so that all series of a resource are of the same scrape; iterated once for each metric. */
  readonly credentials: () => Iterable<CredentialSample>
  /** Whether a resource exists: its attempts are counted until it is gone. */
  readonly hasCredential: (key: ObjectKey) => boolean
  readonly gateways: () => Iterable<GatewaySample>
  readonly queues: () => Iterable<WorkQueueSnapshot>
  /** The last contact of each watch with the API server, ms, wall clock. */
  readonly watches: () => Iterable<{ readonly resource: string; readonly lastContactAtWall: number }>
}

export interface MetricsOptions {
  readonly version: string
  readonly leaseName: string
  readonly logOutput: Pick<LogOutput, 'droppedLines'>
}

const results = ['success', 'error'] as const
const writeOperations: readonly WriteOperation[] = ['create', 'update', 'delete']

/** All metrics of the operator, under the names of docs/reference/metrics.md. */
export class Metrics {
  readonly register = new Registry()
  readonly gateways = new GatewayMetrics(this.register)
  readonly queues: QueueMetrics
  readonly #leaseName: string
  readonly #renewals = new RenewalCounts()
  readonly #headroom: Histogram
  readonly #targetWrites: Counter<'operation' | 'reason' | 'result'>
  readonly #apiRequests: Counter<'code' | 'method' | 'host'>
  readonly #leading: Gauge<'name'>
  readonly #pieces = new TextPieces()
  #sources: MetricsSources | undefined

  constructor({ leaseName, logOutput, version }: MetricsOptions) {
    const registers = [this.register]
    this.#leaseName = leaseName
    this.#headroom = new Histogram({
      name: 'enos_credential_renewal_headroom_seconds',
      help: 'Life left of the old token when the new one was on the last target; 0 if the old token had expired.',
      buckets: [0, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600],
      registers,
    })
    const overdue = new Histogram({
      name: 'enos_credential_renewal_overdue_seconds',
      help: 'Seconds between the due time of a renewal and its start. Waiting for an open circuit does not count: see enos_gateway_circuit_open.',
      buckets: [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60],
      registers,
    })
    this.queues = new QueueMetrics(this.register, overdue)
    this.#targetWrites = new Counter({
      name: 'enos_credential_target_writes_total',
      help: 'Writes of target Secrets.',
      labelNames: ['operation', 'reason', 'result'],
      registers,
    })
    for (const reason of Object.keys(writeReasons) as WriteReason[]) {
      for (const operation of writeOperations) {
        for (const result of results) this.#targetWrites.inc({ operation, reason, result }, 0)
      }
    }
    this.#apiRequests = new Counter({
      name: 'rest_client_requests_total',
      help: 'Requests to the API server, by status code, method and host.',
      labelNames: ['code', 'method', 'host'],
      registers,
    })
    this.#leading = new Gauge({
      name: 'leader_election_master_status',
      help: '1 on the leader, 0 on other replicas.',
      labelNames: ['name'],
      registers,
    })
    new Gauge({
      name: 'enos_build_info',
      help: 'Version of the operator and of Node.js, as labels.',
      labelNames: ['version', 'node_version'],
      registers,
    }).set({ version, node_version: process.version }, 1)
    registerLogMetric(this.register, logOutput)
    collectDefaultMetrics({ register: this.register })
    // prom-client's own; the suffix promises a counter, and promtool objects.
    for (const metric of this.register.getMetricsAsArray()) {
      if (metric instanceof Gauge && metric.name.endsWith('_total')) this.register.removeSingleMetric(metric.name)
    }
  }

  /** Sets the sources. Called once, before the first scrape. */
  connect(sources: MetricsSources): void {
    this.#sources = sources
    registerWatchMetric(this.register, sources.watches)
  }

  onApiAnswer({ code, host, method }: { readonly method: string; readonly code: string; readonly host: string }): void {
    this.#apiRequests.inc({ code, method, host })
  }

  onAttempt(keys: Iterable<ObjectKey>, operation: Operation, result: AttemptResult): void {
    for (const key of keys) if (this.#sources?.hasCredential(key) === true) this.#renewals.add(key, operation, result)
  }

  onTargetWrite(operation: WriteOperation, reason: WriteReason, result: 'success' | 'error'): void {
    this.#targetWrites.inc({ operation, reason, result })
  }

  onHeadroom(headroomMs: number): void {
    this.#headroom.observe(Math.max(0, headroomMs) / 1000)
  }

  setLeading(isLeading: boolean): void {
    this.#leading.set({ name: this.#leaseName }, isLeading ? 1 : 0)
  }

  /** Drops the counts of a deleted resource. */
  forget(key: ObjectKey): void {
    this.#renewals.forget(key)
  }

  /**
   * Renders all series in Prometheus's text format: those of the process by prom-client, and those per resource in pieces,
   * which are made as the body is read. A piece is valid until the next one is asked for.
   */
  async render(): Promise<{ readonly status: 200; readonly contentType: string; readonly body: Iterable<Uint8Array> }> {
    if (this.#sources !== undefined) {
      this.queues.update(this.#sources.queues())
      await this.gateways.update(this.#sources.gateways())
    }
    const body = this.#pieces.of(this.#texts(await this.register.metrics()))
    return { status: 200, contentType: this.register.contentType, body }
  }

  *#texts(ofProcess: string): Generator<string> {
    yield `${ofProcess}\n`
    const samples = this.#sources?.credentials() ?? []
    const labelOf = (host: string): string => this.gateways.hostLabel(host)
    yield* writeCredentialMetrics(samples, { renewals: this.#renewals, labelOf })
  }
}

function registerLogMetric(register: Registry, logOutput: MetricsOptions['logOutput']): void {
  new Counter({
    name: 'enos_log_lines_dropped_total',
    help: 'Log lines that were dropped: standard output was blocked, full or closed.',
    registers: [register],
    collect() {
      this.reset()
      this.inc(logOutput.droppedLines)
    },
  })
}

function registerWatchMetric(register: Registry, watches: MetricsSources['watches']): void {
  new Gauge({
    name: 'enos_watch_last_contact_timestamp_seconds',
    help: 'Last answer of the API server to the watch, UNIX time, at first the start; the earliest if several watches have the resource.',
    labelNames: ['resource'],
    registers: [register],
    collect() {
      const earliest = new Map<string, number>()
      for (const { lastContactAtWall, resource } of watches()) {
        earliest.set(resource, Math.min(earliest.get(resource) ?? Infinity, lastContactAtWall))
      }
      this.reset()
      for (const [resource, at] of earliest) this.set({ resource }, at / 1000)
    },
  })
}
