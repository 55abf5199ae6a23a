import type { Condition } from '../api/v1alpha1/conditions.ts'
import { type RenewalCounts, renewalLabels } from './renewal-counts.ts'

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

interface WrittenMetric extends CredentialMetric {
  /**
   * The series of a resource, as lines. A value that is not known has no series.
   *
   * @param start the name of the metric and the labels namespace and name
   */
  readonly linesOf: (start: string, sample: CredentialSample, source: SourceOfSeries) => string
}

const statuses = ['True', 'False', 'Unknown'] as const

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
    linesOf: (start, { gatewayHost }, { labelOf }) =>
      gatewayHost === undefined ? '' : `${start},host="${escaped(labelOf(gatewayHost))}"} 1\n`,
  },
  {
    name: 'enos_credential_condition',
    help: 'Conditions: 1 for the current status of a condition, 0 for its other statuses.',
    type: 'gauge',
    moreLabels: ['type', 'status'],
    linesOf: (start, { conditions }) => {
      let lines = ''
      for (const { status: present, type } of conditions) {
        const labels = `${start},type="${escaped(type)}",status=`
        for (const status of statuses) lines += `${labels}"${status}"} ${status === present ? 1 : 0}\n`
      }
      return lines
    },
  },
  {
    name: 'enos_credential_problem_start_timestamp_seconds',
    help: 'Start of a problem, UNIX time: since then Ready or RenewalHealthy is not True, or Stalled is. reason: the present one. Without problems no series.',
    type: 'gauge',
    moreLabels: ['type', 'reason'],
    linesOf: (start, { conditions }) => {
      let lines = ''
      for (const condition of conditions) if (isProblem(condition)) lines += start + startOfProblem(condition)
      return lines
    },
  },
  {
    name: 'enos_credential_expired_seconds_total',
    help: 'Seconds during which the targets held an expired token, as observed by this process.',
    type: 'counter',
    moreLabels: [],
    linesOf: (start, { expiredSeconds }) => `${start}} ${expiredSeconds}\n`,
  },
  {
    name: 'enos_credential_renewals_total',
    help: 'Renewals of a token: new tokens received and failed attempts.',
    type: 'counter',
    moreLabels: ['method', 'result'],
    // From 0 on, so that a rate counts the first event too.
    linesOf: (start, { name, namespace }, { renewals }) => {
      const counts = renewals.of(`${namespace}/${name}`)
      let lines = ''
      for (const [at, count] of counts.entries()) lines += `${start}${renewalLabels[at]}} ${count}\n`
      return lines
    },
  },
]

/** The metrics with series per resource, for the reference. */
export const credentialMetrics: readonly CredentialMetric[] = metrics

/** Characters at which a text is handed on. Shorter ones are more to encode; longer ones outlive a collection of garbage. */
const textLength = 2048

/**
 * Writes the series per resource in Prometheus's text format, in short texts. They are written anew at each scrape, so no
 * series outlives its resource, and none takes memory in between.
 *
 * @param samples iterated once for each metric
 */
export function* writeCredentialMetrics(
  samples: Iterable<CredentialSample>,
  source: SourceOfSeries,
): Generator<string> {
  for (const { help, linesOf, name, type } of metrics) {
    let text = `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
    for (const sample of samples) {
      text += linesOf(`${name}{namespace="${sample.namespace}",name="${sample.name}"`, sample, source)
      if (text.length < textLength) continue
      yield text
      text = ''
    }
    yield `${text}\n`
  }
}

function gauge(name: string, help: string, valueOf: (sample: CredentialSample) => number | undefined): WrittenMetric {
  const linesOf = (start: string, sample: CredentialSample): string => {
    const value = valueOf(sample)
    return value === undefined ? '' : `${start}} ${value}\n`
  }
  return { name, help, type: 'gauge', moreLabels: [], linesOf }
}

/** At most three of a resource: the API server keeps one condition of each type. */
function isProblem({ status, type }: Condition): boolean {
  return type === 'Stalled' ? status === 'True' : status !== 'True' && (type === 'Ready' || type === 'RenewalHealthy')
}

function startOfProblem({ lastTransitionTime, reason, type }: Condition): string {
  return `,type="${type}",reason="${escaped(reason)}"} ${Date.parse(lastTransitionTime) / 1000}\n`
}

/** The value of a label. Names of Kubernetes objects need no escaping; another writer may choose type and reason of a condition. */
function escaped(value: string): string {
  return /["\\\n]/.test(value) ? value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n') : value
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000
}
