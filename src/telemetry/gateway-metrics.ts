import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { TokenClientObserver } from '../enos/token-client.ts'

/** A gateway in use, at a scrape. Gateways that differ in their base path share a host. */
export interface GatewaySample {
  /** With the port, unless it is the default of the scheme. */
  readonly host: string
  readonly isCircuitOpen: boolean
}

/** Tenants choose the hosts, so the number of label values is bounded: further hosts are counted as `other`. */
const maxHosts = 100
const other = 'other'

/** Metrics of the gateways in use. A gateway that is no longer in use loses its series at the next scrape. */
export class GatewayMetrics implements TokenClientObserver {
  /** The hosts that have a label of their own: at most `maxHosts`. A gateway that is no longer in use leaves at a scrape. */
  readonly #hosts = new Set<string>()
  readonly #requests: Counter<'host' | 'operation' | 'code'>
  readonly #durations: Histogram<'host' | 'operation'>
  readonly #skew: Gauge<'host'>
  readonly #circuits: Gauge<'host'>

  constructor(register: Registry) {
    const registers = [register]
    this.#requests = new Counter({
      name: 'enos_gateway_requests_total',
      help: 'Calls to the token service, by its status code; without one by http_503, unexpected or error.',
      labelNames: ['host', 'operation', 'code'],
      registers,
    })
    this.#durations = new Histogram({
      name: 'enos_gateway_request_duration_seconds',
      help: 'Duration of calls to the token service.',
      labelNames: ['host', 'operation'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    })
    this.#skew = new Gauge({
      name: 'enos_gateway_clock_skew_seconds',
      help: 'Seconds by which the clock of the gateway is ahead of ours, to about a second.',
      labelNames: ['host'],
      registers,
    })
    this.#circuits = new Gauge({
      name: 'enos_gateway_circuit_open',
      help: '1 while the circuit breaker of a gateway is open: the gateway does not answer, or answers 429 or 5xx, and is only probed.',
      labelNames: ['host'],
      registers,
    })
  }

  onCall(host: string, operation: string, code: string, durationMs: number): void {
    const label = this.#labelOf(host)
    this.#requests.inc({ host: label, operation, code })
    this.#durations.observe({ host: label, operation }, durationMs / 1000)
  }

  onClockSkew(host: string, skewMs: number): void {
    this.#skew.set({ host: this.#labelOf(host) }, skewMs / 1000)
  }

  /** Drops the series of gateways that are not in use, and sets the circuits of those that are. */
  async update(gateways: Iterable<GatewaySample>): Promise<void> {
    const inUse = new Set<string>()
    const circuits = new Map<string, boolean>()
    for (const { host, isCircuitOpen } of gateways) {
      inUse.add(host)
      const label = this.#labelOf(host)
      // An open circuit shows even where a gateway with a closed one shares the label.
      circuits.set(label, isCircuitOpen || circuits.get(label) === true)
    }
    this.#circuits.reset()
    for (const [host, isOpen] of circuits) this.#circuits.set({ host }, isOpen ? 1 : 0)
    const gone = [...this.#hosts].filter((host) => !inUse.has(host))
    if (gone.length === 0) return
    const [requests, durations] = [await this.#requests.get(), await this.#durations.get()]
    for (const host of gone) {
      for (const { labels } of requests.values) if (labels.host === host) this.#requests.remove(labels)
      for (const { labels } of durations.values) {
        if (labels.host === host) this.#durations.remove({ host, operation: labels.operation ?? '' })
      }
      this.#skew.remove({ host })
      this.#hosts.delete(host)
    }
  }

  /** The value of `host` in these metrics, for a gateway in use or not. */
  hostLabel(host: string): string {
    return this.#hosts.has(host) || this.#hosts.size < maxHosts ? host : other
  }

  #labelOf(host: string): string {
    const label = this.hostLabel(host)
    if (label === host) this.#hosts.add(host)
    return label
  }
}
