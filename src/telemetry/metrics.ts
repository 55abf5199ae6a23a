import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { type WriteReason, writeReasons } from '../api/v1alpha1/action-reasons.ts'
import { type Operation, operations } from '../enos/operation.ts'
import { keyOf, type ObjectKey, refOf } from '../kubernetes/types.ts'
import type { WorkQueueSnapshot } from '../kubernetes/work-queue.ts'
import type { WriteOperation } from '../targets/target-writer.ts'
import { type CredentialSample, registerCredentialMetrics } from './credential-metrics.ts'
import { GatewayMetrics, type GatewaySample } from './gateway-metrics.ts'
import { QueueMetrics } from './queue-metrics.ts'

/** The sources that each scrape reads. */
export interface MetricsSources {
  readonly credentials: () => Iterable<CredentialSample>
  readonly gateways: () => Iterable<GatewaySample>
  readonly queues: () => Iterable<WorkQueueSnapshot>
  /** The last contact of each watch with the API server, ms, wall clock. */
  readonly watches: () => Iterable<{ readonly resource: string; readonly lastContactAtWall: number }>
}

export interface MetricsOptions {
  readonly version: string
  readonly leaseName: string
}

const results = ['success', 'error'] as const
const writeOperations: readonly WriteOperation[] = ['create', 'update', 'delete']

/** All metrics of the operator, under the names of docs/reference/metrics.md. */
export class Metrics {
  readonly register = new Registry()
  readonly gateways = new GatewayMetrics(this.register)
  readonly queues: QueueMetrics
  readonly #leaseName: string
  readonly #renewals: Counter<'namespace' | 'name' | 'method' | 'result'>
  /** The resources with series in `#renewals`. At a scrape those of `sources.credentials`, and none else. */
  readonly #renewalKeys = new Set<ObjectKey>()
  readonly #headroom: Histogram
  readonly #targetWrites: Counter<'operation' | 'reason' | 'result'>
  readonly #apiRequests: Counter<'code' | 'method' | 'host'>
  readonly #leading: Gauge<'name'>
  #sources: MetricsSources | undefined

  constructor({ leaseName, version }: MetricsOptions) {
    const registers = [this.register]
    this.#leaseName = leaseName
    this.#renewals = new Counter({
      name: 'enos_credential_renewals_total',
      help: 'Renewals of a token: new tokens received and failed attempts.',
      labelNames: ['namespace', 'name', 'method', 'result'],
      registers,
    })
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
    collectDefaultMetrics({ register: this.register })
  }

  /** Sets the sources. Called once, before the first scrape. */
  connect(sources: MetricsSources): void {
    this.#sources = sources
    registerCredentialMetrics(this.register, sources.credentials, (host) => this.gateways.hostLabel(host))
    registerWatchMetric(this.register, sources.watches)
  }

  onApiAnswer({ code, host, method }: { readonly method: string; readonly code: string; readonly host: string }): void {
    this.#apiRequests.inc({ code, method, host })
  }

  onAttempt(keys: Iterable<ObjectKey>, operation: Operation, result: (typeof results)[number]): void {
    for (const key of keys) {
      this.#beginRenewals(key)
      this.#renewals.inc({ ...refOf(key), method: operation, result })
    }
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

  /** Drops the series of a deleted resource. */
  forget(key: ObjectKey): void {
    this.#renewalKeys.delete(key)
    for (const method of operations) {
      for (const result of results) this.#renewals.remove({ ...refOf(key), method, result })
    }
  }

  /** Renders all series in Prometheus's text format. */
  async render(): Promise<{ readonly contentType: string; readonly body: string }> {
    if (this.#sources !== undefined) {
      this.queues.update(this.#sources.queues())
      await this.gateways.update(this.#sources.gateways())
      this.#updateRenewals(this.#sources.credentials())
    }
    return { contentType: this.register.contentType, body: await this.register.metrics() }
  }

  /** Begins the series of new resources, and drops those of deleted ones. */
  #updateRenewals(samples: Iterable<CredentialSample>): void {
    const present = new Set<ObjectKey>()
    for (const sample of samples) {
      const key = keyOf(sample)
      present.add(key)
      this.#beginRenewals(key)
    }
    for (const key of this.#renewalKeys) if (!present.has(key)) this.forget(key)
  }

  /** Series begin with 0, so that a rate counts their first event too. */
  #beginRenewals(key: ObjectKey): void {
    if (this.#renewalKeys.has(key)) return
    this.#renewalKeys.add(key)
    for (const method of operations) {
      for (const result of results) this.#renewals.inc({ ...refOf(key), method, result }, 0)
    }
  }
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
