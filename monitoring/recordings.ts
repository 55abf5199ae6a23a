import { type Duration, minute, type Recording } from './rule.ts'

/*
 * The present value of each credential, whichever replica knows it. Only the leader has the series of credentials, so
 * they move from one instance to another in a failover, and a lone replica that restarts has none while the API server is
 * away. A rule on the bare series would resolve at each of these moments.
 */

/** Labels of a credential. `job` tells installs apart. */
export const credential = 'job, namespace, name'

/** A failover takes 20 s, and a scrape up to a minute. */
const handover = 3 * minute

const leaders = 'job:leader_election_master_status:max'

/**
 * The series of credentials, merged over replicas. Prometheus renames a credential's `namespace` to `exported_namespace`
 * where the target has a label of that name and `honorLabels` is false; here it is `namespace` in both cases.
 */
export function byCredential(
  expression: string,
  aggregation: 'max' | 'sum' | 'group' = 'max',
  labels = credential,
): string {
  return `${aggregation} by (${labels}) (label_replace(${expression}, "namespace", "$1", "exported_namespace", "(.+)"))`
}

/**
 * Of this operator only: other programs export metrics of the same names. Its replicas are known by `enos_build_info`.
 */
export function ofOperator(expression: string): string {
  return `${expression} and on (job, instance) enos_build_info`
}

interface LastKnown {
  readonly record: string
  readonly series: string
  readonly labels?: string
  /** The last value of a handover. */
  readonly latest?: (duration: Duration) => string
  /** The value when no replica has had any for longer. */
  readonly forgotten?: (duration: Duration) => string
}

/** The value that is exported now; else the last one of a handover; else, while replicas run and none leads, `forgotten`. */
function lastKnown(of: LastKnown): Recording {
  const { labels = credential, record, series } = of
  const {
    forgotten = (duration: Duration) => `last_over_time(${record}[${duration(handover)}])`,
    latest = (duration: Duration) => `last_over_time(${series}[${duration(handover)}])`,
  } = of
  return {
    record,
    expression: (duration) =>
      [
        byCredential(series, 'max', labels),
        'or',
        '(',
        `  ${byCredential(latest(duration), 'max', labels)}`,
        '  or',
        `  (${forgotten(duration)} and on (job) ${leaders} == 0)`,
        ')',
        `unless on (${credential}) ${byCredential('enos_credential_targets')}`,
      ].join('\n'),
  }
}

export const expiry = 'credential:enos_credential_token_expiry_timestamp_seconds:last'
export const nextRenewal = 'credential:enos_credential_next_renewal_timestamp_seconds:last'
export const remaining = 'credential:enos_credential_token_remaining_seconds:last'
export const ready = 'credential:enos_credential_ready:last'
export const stalled = 'credential:enos_credential_stalled:last'
export const failures = 'credential:enos_credential_consecutive_failures:last'
export const contested = 'credential:enos_credential_contested_targets:last'
export const suspended = 'credential:enos_credential_suspended:last'
export const info = 'credential:enos_credential_info:last'
/** Only while something is wrong. */
export const problemStart = 'credential:enos_credential_problem_start_timestamp_seconds:last'

const expirySeries = 'enos_credential_token_expiry_timestamp_seconds'
const life = `${expirySeries} - timestamp(${expirySeries})`

/** In the order of their evaluation. */
export const recordings: readonly Recording[] = [
  { record: leaders, expression: () => `max by (job) (${ofOperator('leader_election_master_status')})` },
  lastKnown({ record: expiry, series: expirySeries }),
  lastKnown({
    record: remaining,
    series: life,
    // As of the scrape: by now the token may have been renewed.
    latest: (duration) => `last_over_time((${life})[${duration(handover)}:${duration(minute / 2)}])`,
    forgotten: () => `${expiry} - time()`,
  }),
  lastKnown({ record: nextRenewal, series: 'enos_credential_next_renewal_timestamp_seconds' }),
  lastKnown({ record: ready, series: 'enos_credential_condition{type="Ready",status="True"}' }),
  lastKnown({ record: stalled, series: 'enos_credential_condition{type="Stalled",status="True"}' }),
  lastKnown({ record: failures, series: 'enos_credential_consecutive_failures' }),
  lastKnown({ record: contested, series: 'enos_credential_contested_targets' }),
  lastKnown({ record: suspended, series: 'enos_credential_suspended' }),
  lastKnown({ record: info, series: 'enos_credential_info', labels: `${credential}, host` }),
  lastKnown({
    record: problemStart,
    series: 'enos_credential_problem_start_timestamp_seconds',
    labels: `${credential}, type, reason`,
  }),
]
