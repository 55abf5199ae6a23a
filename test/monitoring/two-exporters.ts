import { rows } from '../../monitoring/dashboard/dashboard.ts'
import { home } from '../../tools/published.ts'
import { type NamespaceStyle, one, Plant } from './plant.ts'
import { Timeline } from './timeline.ts'

const faultAt = 1200
const seenAt = 2400
/** Of the credential `hit`: what an alert on it says beside its labels. */
const start = 1_767_268_800
const startText = '2026-01-01 12:00:00 +0000 UTC'

/** Two replicas export two credentials, of which one is broken: none leads, as in an outage of the API server. */
function twoExporters(style: NamespaceStyle): Plant {
  const plant = new Plant({
    lifetimeSeconds: 7200,
    style,
    lengthSeconds: seenAt,
    leaderAt: (at) => (at < faultAt ? 'a' : undefined),
    knowsCredentialsAt: (replica, at) => replica === 'a' || at >= faultAt,
  })
  plant.credential('hit', {
    expiryAt: () => faultAt,
    nextRenewalAt: () => faultAt - 600,
    readyAt: (at) => (at < faultAt ? 1 : 0),
    stalledAt: one,
    failuresAt: () => 3,
    contestedAt: one,
    suspendedAt: one,
    problemStartAt: {
      'Ready TokenExpired': () => start + 60,
      'RenewalHealthy InvalidAppSecret': () => start,
      'Stalled InvalidAppSecret': () => start,
    },
  })
  return plant
}

/** For each number and table of the dashboard, how many credentials it counts or lists. */
const counted: Readonly<Record<string, readonly number[]>> = {
  Credentials: [2],
  Expired: [1],
  'Not ready': [1],
  'Renewing fails': [1],
  Contested: [1],
  Suspended: [1],
  'What is wrong, the longest first': [3, 3],
  'Credentials, the most urgent first': [2, 2, 2],
  'Time left, the ten shortest': [2],
  'Failed attempts in a row': [2],
}

/** A test of promtool: with two exporters the dashboard counts each credential once, and an alert says once why. */
export function twoExportersTest(style: NamespaceStyle): unknown {
  const panels = rows.flatMap((row) => row.panels)
  const samples = Object.entries(counted).flatMap(([title, counts]) => {
    const panel = panels.find((candidate) => candidate.title === title)
    return counts.map((value, at) => {
      const expression = (panel?.queries[at]?.expression ?? '').replaceAll('$job', '.+')
      return {
        // A number is a count already.
        expr: panel?.kind === 'stat' ? expression : `count(${expression})`,
        eval_time: `${seenAt}s`,
        exp_samples: [{ labels: '{}', value }],
      }
    })
  })
  return {
    name: `two replicas export the credentials; ${style}`,
    interval: `${Timeline.stepSeconds}s`,
    input_series: twoExporters(style).timeline.inputSeries(),
    promql_expr_test: samples,
    alert_rule_test: [
      {
        alertname: 'EnosCredentialStalled',
        eval_time: `${seenAt}s`,
        exp_alerts: [
          {
            exp_labels: { severity: 'warning', job: 'enos-credential-operator', namespace: 'plant-a', name: 'hit' },
            exp_annotations: {
              summary: 'plant-a/hit cannot go on until it is corrected',
              description: `The condition Stalled of plant-a/hit is True: a retry cannot help, its owner has to correct the resource or its source Secrets. The reason is InvalidAppSecret, since ${startText} (${home}/docs/reference/reasons.md#InvalidAppSecret). A token on the targets stays valid until it expires.`,
              runbook_url: `${home}/docs/runbooks/EnosCredentialStalled.md`,
            },
          },
        ],
      },
    ],
  }
}
