import {
  type CredentialSeries,
  during,
  firstDueAt,
  gatewayHost,
  growing,
  job,
  one,
  type Plant,
  type PlantOptions,
  targetOf,
  zero,
} from './plant.ts'
import { type Labels, Timeline } from './timeline.ts'

/** An alert that fires in a scenario, from one moment to another. */
export interface Firing {
  readonly alert: string
  readonly labels: Labels
  readonly from: number
  /** Infinity: to the end of the scenario. */
  readonly to: number
}

export interface Scenario {
  readonly name: string
  readonly lengthSeconds: number
  readonly options?: Pick<PlantOptions, 'leaderAt' | 'isScrapedAt' | 'knowsCredentialsAt'>
  readonly fault: (plant: Plant) => void
  readonly firings: readonly Firing[]
}

const minute = 60
const hit = { job, namespace: 'plant-a', name: 'hit' }
const lease = { job, namespace: 'enos-system', name: 'enos-credential-operator' }
/** A fault begins and ends here, unless a scenario says otherwise. */
const begin = 10 * minute
const end = begin + 40 * minute
const lengthSeconds = end + 35 * minute

function firing(alert: string, labels: Labels, from: number, to: number): Firing {
  return { alert, labels, from, to }
}

/** Scenarios of one credential, which depend on the lifetime of its token. */
export function credentialScenarios(lifetime: number, window: number): readonly Scenario[] {
  const dueAt = firstDueAt
  const expiresAt = dueAt + window
  const renewedAt = expiresAt + 30 * minute
  const soonAt = dueAt + window / 2
  const outage = (plant: Plant): void => {
    const [before, after] = [plant.renewedUntil(dueAt - 1), plant.renewedUntil(Infinity)]
    plant.credential('hit', {
      expiryAt: (at) => (at < renewedAt ? before : after).expiryAt(at),
      nextRenewalAt: (at) => (at < renewedAt ? before : after).nextRenewalAt(at),
      failuresAt: during(dueAt, renewedAt),
      readyAt: (at) => 1 - during(expiresAt + 2, renewedAt)(at),
      expiredSecondsAt: growing(expiresAt, renewedAt),
    })
  }
  const outageFirings = [
    firing('EnosCredentialRenewalFailing', hit, dueAt + 5 * minute, renewedAt + 5 * minute),
    firing('EnosCredentialTokenExpiresSoon', hit, soonAt, expiresAt + 2 * minute),
    firing('EnosCredentialTokenExpired', hit, expiresAt + 65, renewedAt + 2 * minute),
    firing('EnosCredentialServedWhileExpired', hit, expiresAt + 45, renewedAt + 29 * minute),
  ]
  const blindFrom = expiresAt - window / 4
  // Until then the last scrape counts.
  const knownUntil = lastScrapeBefore(blindFrom) + 3 * minute
  return [
    {
      name: 'renewing fails until the token has expired',
      lengthSeconds: renewedAt + 40 * minute,
      fault: outage,
      firings: outageFirings,
    },
    {
      name: 'the leader is lost while a token has expired',
      lengthSeconds: renewedAt + 40 * minute,
      options: failoverAt(expiresAt + 10 * minute),
      fault: outage,
      firings: outageFirings,
    },
    {
      name: 'the API server is lost with a lone replica before a token expires',
      lengthSeconds: renewedAt + 40 * minute,
      options: {
        isScrapedAt: (replica) => replica === 'a',
        leaderAt: (at) => (at < blindFrom || at >= renewedAt ? 'a' : undefined),
        // It restarts when it loses the lease, and cannot list any credential.
        knowsCredentialsAt: (_, at) => at < blindFrom || at >= renewedAt,
      },
      fault: outage,
      firings: [
        firing('EnosCredentialRenewalFailing', hit, dueAt + 5 * minute, renewedAt + 5 * minute),
        firing('EnosCredentialTokenExpiresSoon', hit, soonAt, Math.max(expiresAt, knownUntil) + 2 * minute),
        firing('EnosCredentialTokenExpired', hit, Math.max(expiresAt + 5, knownUntil) + minute, renewedAt + 2 * minute),
        // The healthy credential cannot be renewed either.
        ...healthyExpires({ lifetime, window }, blindFrom, knownUntil, renewedAt),
        firing('EnosOperatorNoLeader', lease, blindFrom + 3 * minute, renewedAt + 2 * minute),
      ],
    },
    {
      name: 'the API server is lost while a token has expired, and the standby has its caches',
      lengthSeconds: renewedAt + 40 * minute,
      options: {
        leaderAt: (at) => (at < expiresAt + 10 * minute || at >= renewedAt ? 'a' : undefined),
        knowsCredentialsAt: (replica, at) => replica === (at < expiresAt + 10 * minute || at >= renewedAt ? 'a' : 'b'),
      },
      fault: outage,
      firings: [
        ...outageFirings,
        firing('EnosOperatorNoLeader', lease, expiresAt + 13 * minute, renewedAt + 2 * minute),
      ],
    },
  ]
}

function lastScrapeBefore(at: number): number {
  return Math.ceil(at / Timeline.stepSeconds - 1) * Timeline.stepSeconds
}

/** The alerts for a healthy credential that nothing renews, and of which nothing is known but its last scrape. */
function healthyExpires(
  { lifetime, window }: { readonly lifetime: number; readonly window: number },
  blindFrom: number,
  knownUntil: number,
  to: number,
): Firing[] {
  const healthy = { ...hit, name: 'healthy' }
  const period = lifetime - window
  const renewals = Math.floor((lastScrapeBefore(blindFrom) - firstDueAt) / period)
  const expiresAt = firstDueAt + renewals * period + lifetime
  const soonAt = Math.max(knownUntil, expiresAt - window / 2)
  const expiredAt = Math.max(knownUntil, expiresAt + 5)
  return [
    ...(soonAt < Math.min(expiresAt, to)
      ? [firing('EnosCredentialTokenExpiresSoon', healthy, soonAt, Math.min(expiresAt, to) + 2 * minute)]
      : []),
    ...(expiredAt + minute < to
      ? [firing('EnosCredentialTokenExpired', healthy, expiredAt + minute, to + 2 * minute)]
      : []),
  ]
}

/** The leader dies, its standby leads 20 s later and is first scraped as leader after a minute. */
function failoverAt(at: number): NonNullable<Scenario['options']> {
  return {
    isScrapedAt: (replica, now) => (replica === 'a' ? now < at : replica === 'b'),
    leaderAt: (now) => (now < at ? 'a' : now < at + minute ? undefined : 'b'),
  }
}

/** The credential `hit`, whose token stays valid. */
function valid(plant: Plant, series: Partial<CredentialSeries>): void {
  plant.credential('hit', { ...plant.renewedUntil(Infinity), ...series })
}

const readyAgain = (at: number): number => 1 - during(begin, end)(at)

/** Scenarios whose times do not depend on the lifetime of a token. */
export const otherScenarios: readonly Scenario[] = [
  {
    name: 'nothing is wrong',
    lengthSeconds,
    fault: () => undefined,
    firings: [],
  },
  {
    name: 'replicas are replaced one after the other',
    lengthSeconds,
    options: {
      // Leaders hand over: a until 1000 s, then b until 1300 s, then c.
      isScrapedAt: (replica, at) => (replica === 'a' ? at < 1000 : replica === 'b' ? at < 1300 : at >= 900),
      leaderAt: (at) => (at < 1000 ? 'a' : at < 1300 ? 'b' : 'c'),
    },
    fault: () => undefined,
    firings: [],
  },
  {
    name: 'a credential is deleted',
    lengthSeconds,
    fault: (plant) => {
      valid(plant, { existsAt: (at) => at < begin, failuresAt: one })
    },
    firings: [firing('EnosCredentialRenewalFailing', hit, 5 * minute, begin + 7.5 * minute)],
  },
  {
    name: 'an appSecret is wrong',
    lengthSeconds,
    fault: (plant) =>
      valid(plant, { failuresAt: during(begin, end), stalledAt: (at) => (at >= begin && at < end ? 1 : undefined) }),
    firings: [firing('EnosCredentialStalled', hit, begin + 5 * minute, end + 5 * minute)],
  },
  {
    name: 'a target is in conflict',
    lengthSeconds,
    fault: (plant) => valid(plant, { readyAt: readyAgain }),
    firings: [firing('EnosCredentialNotReady', hit, begin + 5 * minute, end + 5 * minute)],
  },
  {
    name: 'a target is contested',
    lengthSeconds,
    fault: (plant) => valid(plant, { contestedAt: during(begin, end) }),
    firings: [firing('EnosCredentialTargetContested', hit, begin + 5 * minute, end + 10 * minute)],
  },
  {
    name: 'a suspended credential has an expired token',
    lengthSeconds,
    fault: (plant) =>
      plant.credential('hit', {
        expiryAt: (at) => (at < end ? begin : at + 3600),
        nextRenewalAt: (at) => (at < end ? undefined : at + 3000),
        suspendedAt: (at) => 1 - (at < end ? 0 : 1),
        readyAt: readyAgain,
        expiredSecondsAt: growing(begin, end),
      }),
    // Resumed, it is what it was while suspended: served expired tokens.
    firings: [
      firing('EnosCredentialNotReady', hit, begin + 5 * minute, end + 5 * minute),
      firing('EnosCredentialServedWhileExpired', hit, end, end + 29 * minute),
    ],
  },
  {
    name: 'a token expires again and again for seconds',
    lengthSeconds,
    fault: (plant) => valid(plant, { expiredSecondsAt: growing(begin, end, 0.1) }),
    firings: [firing('EnosCredentialServedWhileExpired', hit, begin + 450, end + 30 * minute - 450)],
  },
  {
    name: 'a gateway fails for a part of its calls',
    lengthSeconds,
    fault: (plant) => {
      const labels = { host: gatewayHost, operation: 'refresh' }
      plant.ofLeader('enos_gateway_requests_total', { ...labels, code: 'http_503' }, growing(begin, end, 0.3))
      plant.ofLeader('enos_gateway_requests_total', { ...labels, code: '1003' }, growing(0, Infinity, 0.05))
    },
    // Two thirds of the calls fail, so that half of them have in three quarters of the range.
    firings: [firing('EnosGatewayFailing', { job, host: gatewayHost }, begin + 20 * minute, end + 15 * minute)],
  },
  {
    name: 'a gateway refuses every call of its applications',
    lengthSeconds,
    fault: (plant) =>
      plant.ofLeader(
        'enos_gateway_requests_total',
        { host: gatewayHost, operation: 'get', code: '1003' },
        growing(begin, end, 10),
      ),
    firings: [],
  },
  {
    name: 'the circuit of a gateway is open',
    lengthSeconds,
    fault: (plant) => plant.ofLeader('enos_gateway_circuit_open', { host: gatewayHost }, during(begin, end)),
    firings: [firing('EnosGatewayCircuitOpen', { job, host: gatewayHost }, begin + 2 * minute, end + 5 * minute)],
  },
  {
    name: 'the circuit of a gateway is open when the leader is lost',
    lengthSeconds,
    options: failoverAt(begin + 20 * minute),
    fault: (plant) =>
      plant.perReplica('enos_gateway_circuit_open', { host: gatewayHost }, (replica, at) => {
        if (replica === 'a') return at < begin + 20 * minute ? during(begin, end)(at) : undefined
        // Its successor opens it anew after some failures.
        return replica === 'b' && at >= begin + 21 * minute ? during(begin + 25 * minute, end)(at) : undefined
      }),
    firings: [firing('EnosGatewayCircuitOpen', { job, host: gatewayHost }, begin + 2 * minute, end + 5 * minute)],
  },
  {
    name: 'the clock of a gateway is a minute behind',
    lengthSeconds,
    fault: (plant) =>
      plant.ofLeader('enos_gateway_clock_skew_seconds', { host: gatewayHost }, (at) =>
        at >= begin && at < end ? -60 : 0,
      ),
    firings: [firing('EnosGatewayClockSkew', { job, host: gatewayHost }, begin + 10 * minute, end + 5 * minute)],
  },
  {
    name: 'no replica is scraped',
    lengthSeconds,
    options: { isScrapedAt: (replica, at) => replica !== 'c' && (at < begin || at >= begin + 15 * minute) },
    fault: () => undefined,
    firings: [firing('EnosOperatorAbsent', {}, begin + 5 * minute, begin + 17 * minute)],
  },
  {
    name: 'no replica leads, and two export the credentials',
    lengthSeconds,
    options: {
      leaderAt: (at) => (at < begin || at >= end ? 'a' : undefined),
      knowsCredentialsAt: (replica, at) => replica === 'a' || (at >= begin && at < end),
    },
    fault: (plant) => valid(plant, { failuresAt: during(begin, end), contestedAt: during(begin, end) }),
    firings: [
      firing('EnosCredentialRenewalFailing', hit, begin + 5 * minute, end + 5 * minute),
      firing('EnosCredentialTargetContested', hit, begin + 5 * minute, end + 10 * minute),
      firing('EnosOperatorNoLeader', lease, begin + 3 * minute, end + 2 * minute),
    ],
  },
  {
    name: 'two replicas lead',
    lengthSeconds,
    fault: (plant) => {
      plant.perReplica('leader_election_master_status', { name: lease.name }, (replica, at) =>
        replica === 'a' ? 1 : during(begin, end)(at),
      )
      for (const name of ['credentials', 'applications']) plant.perReplica('workqueue_depth', { name }, zero)
    },
    firings: [firing('EnosOperatorTwoLeaders', lease, begin + 3 * minute, end + 5 * minute)],
  },
  {
    name: 'a watch hears nothing',
    lengthSeconds,
    fault: (plant) =>
      plant.perReplica('enos_watch_last_contact_timestamp_seconds', { resource: 'secrets' }, (replica, at) =>
        replica === 'b' && at >= begin && at < end ? begin : at,
      ),
    firings: [firing('EnosOperatorWatchStale', { job, resource: 'secrets' }, begin + 5 * minute, end + 5 * minute)],
  },
  {
    name: 'renewals begin late',
    lengthSeconds,
    fault: (plant) => {
      for (const le of ['1', '5']) {
        plant.ofLeader(
          'enos_credential_renewal_overdue_seconds_bucket',
          { le },
          (at) => at - growing(begin, end, 0.2)(at),
        )
      }
    },
    firings: [firing('EnosOperatorRenewalsLate', { job }, begin + 5 * minute, end + 14 * minute)],
  },
  {
    name: 'a queue finishes no key',
    lengthSeconds,
    fault: (plant) => {
      plant.ofLeader('workqueue_depth', { name: 'credentials' }, (at) => 5 * during(begin, end)(at))
      plant.ofLeader(
        'workqueue_work_duration_seconds_count',
        { name: 'credentials' },
        (at) => at - growing(begin, end)(at),
      )
    },
    firings: [
      firing(
        'EnosOperatorQueueStuck',
        { ...targetOf('a'), name: 'credentials' },
        begin + 10 * minute,
        end + 2 * minute,
      ),
    ],
  },
  {
    name: 'a key is handled for minutes',
    lengthSeconds,
    fault: (plant) =>
      plant.ofLeader('workqueue_longest_running_processor_seconds', { name: 'applications' }, (at) =>
        at < end ? growing(begin, end)(at) : 0,
      ),
    firings: [
      firing(
        'EnosOperatorQueueStuck',
        { ...targetOf('a'), name: 'applications' },
        begin + 10 * minute,
        end + 2 * minute,
      ),
    ],
  },
  {
    name: 'the API server refuses a part of the requests',
    lengthSeconds,
    fault: (plant) =>
      plant.perReplica('rest_client_requests_total', { code: '403', method: 'PATCH', host: 'api' }, (_, at) =>
        growing(begin, end, 0.5)(at),
      ),
    firings: [firing('EnosOperatorAPIServerRefusing', { job, code: '403' }, begin + 11.5 * minute, end + 9 * minute)],
  },
  {
    name: 'an event loop lags',
    lengthSeconds,
    fault: (plant) =>
      plant.perReplica('nodejs_eventloop_lag_p99_seconds', {}, (replica, at) =>
        replica === 'b' ? 2 * during(begin, end)(at) : 0,
      ),
    firings: [firing('EnosOperatorEventLoopLag', targetOf('b'), begin + 10 * minute, end + 5 * minute)],
  },
  {
    name: 'a replica drops log lines again and again, and the other in one burst',
    lengthSeconds,
    fault: (plant) =>
      plant.perReplica('enos_log_lines_dropped_total', {}, (replica, at) =>
        replica === 'b' ? growing(begin, end, 0.1)(at) : growing(begin, begin + minute, 1000)(at),
      ),
    firings: [firing('EnosOperatorLogLinesDropped', targetOf('b'), begin + 15.5 * minute, end + 14.5 * minute)],
  },
  {
    name: 'replicas run two versions',
    lengthSeconds: end + 70 * minute,
    fault: (plant) => {
      plant.perReplica('enos_build_info', { version: '0.1.0', node_version: 'v24.0.0' }, (replica, at) =>
        replica === 'a' || at < begin || at >= end + 60 * minute ? 1 : undefined,
      )
      plant.perReplica('enos_build_info', { version: '0.2.0', node_version: 'v24.0.0' }, (replica, at) =>
        replica === 'b' && at >= begin && at < end + 60 * minute ? 1 : undefined,
      )
    },
    firings: [firing('EnosOperatorVersionSkew', { job }, begin + 60 * minute, end + 60 * minute)],
  },
]
