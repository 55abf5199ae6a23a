import type { Condition } from '../api/v1alpha1/conditions.ts'
import type { RenewalCounts } from './renewal-counts.ts'

/** The values of one resource's series at a scrape. */
export interface CredentialSample {
  readonly namespace: string
  readonly name: string
  /** ms, wall clock; undefined while unknown. */
  readonly expiresAtWall: number | undefined
  readonly nextRenewalAtWall: number | undefined
  readonly conditions: readonly Condition[]
  readonly consecutiveFailures: number | undefined
  readonly targets: number
  /** Targets that another writer keeps changing or deleting. */
  readonly contestedTargets: number
  /** Undefined while the spec is invalid, as is the next. */
  readonly isSuspended: boolean | undefined
  /** Host of the gateway, with the port unless it is the default of the scheme. */
  readonly gatewayHost: string | undefined
  readonly expiredSeconds: number
}

/** A metric with series per resource. */
export interface CredentialMetric {
  readonly name: string
  readonly help: string
  readonly type: 'gauge' | 'counter'
  /** Besides namespace and name. */
  readonly moreLabels: readonly string[]
}

interface SourceOfSeries {
  readonly renewals: Pick<RenewalCounts, 'of'>
  /** The value of `host` in the gateways' metrics. */
  readonly labelOf: (host: string) => string
}

/** A series of one resource: its labels besides namespace and name, with a comma before, and its value. */
type Series = readonly [moreLabels: string, value: number]

interface WrittenMetric extends CredentialMetric {
  /** A value that is not known has no series. */
  readonly seriesOf: (sample: CredentialSample, source: SourceOfSeries) => readonly Series[]
}

const statuses = ['True', 'False', 'Unknown'] as const
const none: readonly Series[] = []

const metrics: readonly WrittenMetric[] = [
  gauge('enos_credential_token_expiry_timestamp_seconds', 'Expiry of the token on the targets, UNIX time.', (sample) =>
    seconds(sample.expiresAtWall),
  ),
  gauge(
    'enos_credential_next_renewal_timestamp_seconds',
    'Time at which the token is due for renewal, UNIX time.',
    (sample) => seconds(sample.nextRenewalAtWall),
  ),
  gauge(
    'enos_credential_consecutive_failures',
    'Failed attempts since the last successful one; at least 1 while anything keeps the token from being renewed.',
    (sample) => sample.consecutiveFailures,
  ),
  gauge('enos_credential_targets', 'Number of targets in the spec.', (sample) => sample.targets),
  gauge(
    'enos_credential_contested_targets',
    'Number of targets that another writer keeps changing or deleting.',
    (sample) => sample.contestedTargets,
  ),
  gauge('enos_credential_suspended', '1 while spec.suspend is set, else 0.', ({ isSuspended }) =>
    isSuspended === undefined ? undefined : Number(isSuspended),
  ),
  {
    name: 'enos_credential_info',
    help: 'Always 1. The gateway of the resource: the value of host in enos_gateway_*.',
    type: 'gauge',
    moreLabels: ['host'],
    seriesOf: ({ gatewayHost }, { labelOf }) =>
      gatewayHost === undefined ? none : [[`,host="${escaped(labelOf(gatewayHost))}"`, 1]],
  },
  {
    name: 'enos_credential_condition',
    help: 'Conditions: 1 for the current status of a condition, 0 for its other statuses.',
    type: 'gauge',
    moreLabels: ['type', 'status'],
    seriesOf: ({ conditions }) =>
      conditions.flatMap(({ type, status: present }) =>
        statuses.map((status): Series => [`,type="${escaped(type)}",status="${status}"`, status === present ? 1 : 0]),
      ),
  },
  {
    name: 'enos_credential_problem_start_timestamp_seconds',
    help: 'Start of a problem, UNIX time: since then Ready or RenewalHealthy is not True, or Stalled is. reason: the present one. Without problems no series.',
    type: 'gauge',
    moreLabels: ['type', 'reason'],
    seriesOf: ({ conditions }) =>
      conditions.some(isProblem) ? conditions.filter(isProblem).map(startOfProblem) : none,
  },
  {
    name: 'enos_credential_expired_seconds_total',
    help: 'Seconds during which the targets held an expired token, as observed by this process.',
    type: 'counter',
    moreLabels: [],
    seriesOf: ({ expiredSeconds }) => [['', expiredSeconds]],
  },
  {
    name: 'enos_credential_renewals_total',
    help: 'Renewals of a token: new tokens received and failed attempts.',
    type: 'counter',
    moreLabels: ['method', 'result'],
    // From 0 on, so that a rate counts the first event too.
    seriesOf: ({ name, namespace }, { renewals }) =>
      renewals
        .of(`${namespace}/${name}`)
        .map(({ count, operation, result }): Series => [`,method="${operation}",result="${result}"`, count]),
  },
]

/** The metrics with series per resource, for the reference. */
export const credentialMetrics: readonly CredentialMetric[] = metrics

/** Characters of a piece. It is made in some 4 ms; smaller ones wait for the event loop and the compressor more often. */
const pieceLength = 512 * 1024

/**
 * Writes the series per resource in Prometheus's text format, in pieces between which the caller can let other work go
 * on. They are written anew at each scrape, so no series outlives its resource, and none takes memory in between.
 */
export function* writeCredentialMetrics(
  samples: readonly CredentialSample[],
  source: SourceOfSeries,
): Generator<string> {
  let piece = ''
  for (const { help, name, seriesOf, type } of metrics) {
    piece += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
    for (const sample of samples) {
      const start = `${name}{namespace="${sample.namespace}",name="${sample.name}"`
      for (const [moreLabels, value] of seriesOf(sample, source)) piece += `${start}${moreLabels}} ${value}\n`
      if (piece.length < pieceLength) continue
      yield piece
      piece = ''
    }
    piece += '\n'
  }
  yield piece
}

function gauge(name: string, help: string, valueOf: (sample: CredentialSample) => number | undefined): WrittenMetric {
  const seriesOf = (sample: CredentialSample): readonly Series[] => {
    const value = valueOf(sample)
    return value === undefined ? none : [['', value]]
  }
  return { name, help, type: 'gauge', moreLabels: [], seriesOf }
}

/** At most three of a resource: the API server keeps one condition of each type. */
function isProblem({ status, type }: Condition): boolean {
  return type === 'Stalled' ? status === 'True' : status !== 'True' && (type === 'Ready' || type === 'RenewalHealthy')
}

function startOfProblem({ lastTransitionTime, reason, type }: Condition): Series {
  return [`,type="${type}",reason="${escaped(reason)}"`, Date.parse(lastTransitionTime) / 1000]
}

/** The value of a label. Names of Kubernetes objects need no escaping; another writer may choose type and reason of a condition. */
function escaped(value: string): string {
  return /["\\\n]/.test(value) ? value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n') : value
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000
}
