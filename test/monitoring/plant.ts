import { defaultWindowMs } from '../../src/tokens/renewal-rule.ts'
import { type Labels, Timeline, type ValueAt } from './timeline.ts'

/** How a scrape names the namespace of a credential where the target has a label of that name. */
export type NamespaceStyle = 'namespace' | 'exported_namespace'

export interface PlantOptions {
  readonly lifetimeSeconds: number
  readonly style: NamespaceStyle
  readonly lengthSeconds: number
  /** The replica that leads at a moment, and the replicas that are scraped. Default: `a` leads, `a` and `b` are scraped. */
  readonly leaderAt?: (at: number) => string | undefined
  readonly isScrapedAt?: (replica: string, at: number) => boolean
  /** Whether a replica has the series of credentials. Default: the leader alone. */
  readonly knowsCredentialsAt?: (replica: string, at: number) => boolean
}

/** What is seen of a credential at a moment; undefined where the metric has no series. */
export interface CredentialSeries {
  /** Default: always. */
  readonly existsAt?: (at: number) => boolean
  readonly expiryAt: ValueAt
  readonly nextRenewalAt: ValueAt
  readonly readyAt?: ValueAt
  readonly stalledAt?: ValueAt
  readonly failuresAt?: ValueAt
  readonly contestedAt?: ValueAt
  readonly suspendedAt?: ValueAt
  readonly expiredSecondsAt?: ValueAt
  /** The start of each problem, by `type reason`. */
  readonly problemStartAt?: Readonly<Record<string, ValueAt>>
}

/** A renewal is due at this moment, whatever the lifetime, 10 s after a scrape. */
export const firstDueAt = 20 * 60 + 10
export const job = 'enos-credential-operator'
export const gatewayHost = 'apim.example.com'
const replicas = ['a', 'b', 'c']

/** The metrics of an install with two replicas and one healthy credential; scenarios add their faults. */
export class Plant {
  readonly timeline: Timeline
  readonly lifetime: number
  /** The window before expiry in which a token is renewed. */
  readonly window: number
  readonly #options: PlantOptions

  constructor(options: PlantOptions) {
    this.#options = options
    this.lifetime = options.lifetimeSeconds
    this.window = defaultWindowMs(options.lifetimeSeconds * 1000) / 1000
    this.timeline = new Timeline(options.lengthSeconds)
    this.#addOperator()
    this.credential('healthy', this.renewedUntil(Infinity))
    this.#addGateway()
  }

  /** Sets a series of each replica while it is scraped. */
  perReplica(name: string, labels: Labels, valueAt: (replica: string, at: number) => number | undefined): void {
    const { isScrapedAt = (replica) => replica !== 'c' } = this.#options
    for (const replica of replicas) {
      this.timeline.set(name, { ...targetOf(replica), ...labels }, (at) =>
        isScrapedAt(replica, at) ? valueAt(replica, at) : undefined,
      )
    }
  }

  /** Sets a series that the leader alone has. */
  ofLeader(name: string, labels: Labels, valueAt: ValueAt): void {
    this.perReplica(name, labels, (replica, at) => (this.#leaderAt(at) === replica ? valueAt(at) : undefined))
  }

  /** Tokens that are renewed as their windows begin, the last time at or before `until`. */
  renewedUntil(until: number): Required<Pick<CredentialSeries, 'expiryAt' | 'nextRenewalAt'>> {
    const period = this.lifetime - this.window
    const issuedAt = (at: number): number =>
      Math.floor((Math.min(at, until) - firstDueAt) / period) * period + firstDueAt
    return {
      expiryAt: (at) => issuedAt(at) + this.lifetime,
      nextRenewalAt: (at) => issuedAt(at) + period,
    }
  }

  credential(name: string, series: CredentialSeries): void {
    const { knowsCredentialsAt = (replica: string, at: number) => this.#leaderAt(at) === replica, style } =
      this.#options
    const { existsAt = () => true } = series
    const set = (metric: string, valueAt: ValueAt, labels: Labels = {}): void => {
      this.perReplica(`enos_credential_${metric}`, { [style]: 'plant-a', name, ...labels }, (replica, at) =>
        existsAt(at) && knowsCredentialsAt(replica, at) ? valueAt(at) : undefined,
      )
    }
    const { contestedAt = zero, expiredSecondsAt = zero, failuresAt = zero, readyAt = one, suspendedAt = zero } = series
    set('targets', one)
    set('info', one, { host: gatewayHost })
    set('token_expiry_timestamp_seconds', series.expiryAt)
    set('next_renewal_timestamp_seconds', series.nextRenewalAt)
    set('condition', readyAt, { type: 'Ready', status: 'True' })
    set('condition', (at) => 1 - (readyAt(at) ?? 0), { type: 'Ready', status: 'False' })
    if (series.stalledAt !== undefined) set('condition', series.stalledAt, { type: 'Stalled', status: 'True' })
    set('consecutive_failures', failuresAt)
    set('contested_targets', contestedAt)
    set('suspended', suspendedAt)
    set('expired_seconds_total', expiredSecondsAt)
    for (const [problem, startAt] of Object.entries(series.problemStartAt ?? {})) {
      const [type = '', reason = ''] = problem.split(' ')
      set('problem_start_timestamp_seconds', startAt, { type, reason })
    }
  }

  /** Calls of a gateway that answers, with a rate of one in ten seconds. */
  #addGateway(): void {
    this.ofLeader('enos_gateway_requests_total', { host: gatewayHost, operation: 'get', code: '0' }, (at) => at / 10)
    this.ofLeader('enos_gateway_circuit_open', { host: gatewayHost }, zero)
    this.ofLeader('enos_gateway_clock_skew_seconds', { host: gatewayHost }, () => -1)
  }

  #addOperator(): void {
    this.perReplica('enos_build_info', { version: '0.1.0', node_version: 'v24.0.0' }, one)
    this.perReplica('leader_election_master_status', { name: 'enos-credential-operator' }, (replica, at) =>
      this.#leaderAt(at) === replica ? 1 : 0,
    )
    this.perReplica('enos_watch_last_contact_timestamp_seconds', { resource: 'secrets' }, (_, at) => at - 40)
    for (const name of ['credentials', 'applications']) {
      this.perReplica('workqueue_depth', { name }, (replica, at) => (this.#leaderAt(at) === replica ? 0 : 3))
      this.perReplica('workqueue_longest_running_processor_seconds', { name }, zero)
      this.perReplica('workqueue_work_duration_seconds_count', { name }, (replica, at) =>
        this.#leaderAt(at) === replica ? at / 10 : 0,
      )
    }
    this.perReplica('rest_client_requests_total', { code: '200', method: 'GET', host: 'api' }, (_, at) => at)
    this.perReplica('nodejs_eventloop_lag_p99_seconds', {}, () => 0.02)
    this.perReplica('enos_log_lines_dropped_total', {}, zero)
    for (const le of ['1', '5', '10', '+Inf']) {
      this.ofLeader('enos_credential_renewal_overdue_seconds_bucket', { le }, (at) => at)
    }
    // Another program with the same generic names, which no alert may take for the operator.
    const other = { job: 'other', instance: 'other:8080', namespace: 'other' }
    this.timeline.set('leader_election_master_status', { ...other, name: 'other' }, zero)
    this.timeline.set('nodejs_eventloop_lag_p99_seconds', other, () => 5)
    this.timeline.set('workqueue_longest_running_processor_seconds', { ...other, name: 'other' }, () => 5000)
    this.timeline.set('rest_client_requests_total', { ...other, code: '500', method: 'GET', host: 'api' }, (at) => at)
  }

  #leaderAt(at: number): string | undefined {
    return this.#options.leaderAt === undefined ? 'a' : this.#options.leaderAt(at)
  }
}

export function targetOf(replica: string): Labels {
  return { job, instance: `${replica}:8080`, namespace: 'enos-system', pod: `operator-${replica}` }
}

export const one = (): number => 1
export const zero = (): number => 0

/** 1 from one moment to another, else 0. */
export function during(from: number, to: number): (at: number) => number {
  return (at) => (at >= from && at < to ? 1 : 0)
}

/** Grows by `perSecond` from one moment to another. */
export function growing(from: number, to: number, perSecond = 1): (at: number) => number {
  return (at) => Math.max(0, Math.min(at, to) - from) * perSecond
}
