import { home as homePage } from '../../tools/published.ts'
import { byCredential } from '../recordings.ts'
import { ofJob, type Panel } from './panel.ts'

const labels = 'namespace, name'
const of = (expression: string): string => byCredential(expression, 'max', labels)
const readyCondition = `enos_credential_condition{type="Ready",status="True",${ofJob}}`
const life = `enos_credential_token_expiry_timestamp_seconds{${ofJob}}`

const problem = `enos_credential_problem_start_timestamp_seconds{${ofJob}}`
const problemLabels = `${labels}, type, reason`

/** Without a series, a count is 0 and not absent. */
const count = (expression: string): string => `count(${expression}) or vector(0)`

function stat(title: string, description: string, expression: string, alarmFrom?: number): Panel {
  return {
    kind: 'stat',
    title,
    description,
    unit: 'short',
    queries: [{ expression: count(expression), legend: title }],
    width: 4,
    ...(alarmFrom === undefined ? {} : { alarmFrom }),
  }
}

/** For the one on call: which credential, since when, why, how long is left, what to do. */
export const onCallPanels: readonly Panel[] = [
  stat('Credentials', 'EnosAppCredentials that the operator knows.', of(`enos_credential_targets{${ofJob}}`)),
  stat(
    'Expired',
    'The targets hold an expired token: requests of their pods are refused.',
    `${of(`${life} - timestamp(${life})`)} < 0`,
    1,
  ),
  stat('Not ready', 'A target holds no token that is valid now.', `${of(readyCondition)} == 0`, 1),
  stat(
    'Renewing fails',
    'The last attempt to renew the token failed. The token is valid until it expires.',
    `${of(`enos_credential_consecutive_failures{${ofJob}}`)} > 0`,
    1,
  ),
  stat(
    'Contested',
    'Another writer keeps changing a target.',
    `${of(`enos_credential_contested_targets{${ofJob}}`)} > 0`,
    1,
  ),
  stat('Suspended', 'Not renewed, by spec.suspend.', `${of(`enos_credential_suspended{${ofJob}}`)} == 1`),
  {
    kind: 'table',
    title: 'What is wrong, the longest first',
    description:
      'Which credential, since when, why, and how long its token lasts. Each reason links to what to do about it.',
    unit: 'short',
    queries: [
      { expression: `${byCredential(problem, 'max', problemLabels)} * 1000`, legend: 'Since', unit: 'dateTimeAsIso' },
      {
        expression: `${of(`${life} - timestamp(${life})`)} * on (${labels}) group_right () ${byCredential(problem, 'group', problemLabels)}`,
        legend: 'Time left',
        unit: 's',
      },
    ],
    labels: ['namespace', 'name', 'reason', 'type'],
    sortedBy: 'Since',
    width: 16,
    links: [{ title: 'What to do', url: `${homePage}/docs/reference/reasons.md#\${__data.fields.reason}` }],
  },
  {
    kind: 'table',
    title: 'Firing alerts',
    description:
      'What is wrong, and what to do: each alert links to its runbook. It needs the alerts of this operator.',
    unit: 'short',
    queries: [
      {
        expression:
          'max by (alertname, severity, namespace, name, host) (ALERTS{alertname=~"Enos.*",alertstate="firing"})',
        legend: 'Firing',
      },
    ],
    labels: ['alertname', 'severity', 'namespace', 'name', 'host'],
    width: 8,
    links: [{ title: 'Runbook', url: `${homePage}/docs/runbooks/\${__data.fields.alertname}.md` }],
  },
  {
    kind: 'table',
    title: 'Credentials, the most urgent first',
    description:
      'How long the token of each credential lasts, how many attempts failed, its gateway, and the number of its targets.',
    unit: 'short',
    queries: [
      { expression: of(`${life} - timestamp(${life})`), legend: 'Time left', unit: 's' },
      { expression: of(`enos_credential_consecutive_failures{${ofJob}}`), legend: 'Failed attempts' },
      {
        // Also of a credential without a token.
        expression: `${of(`enos_credential_targets{${ofJob}}`)} * on (${labels}) group_right () ${byCredential(`enos_credential_info{${ofJob}}`, 'group', `${labels}, host`)}`,
        legend: 'Targets',
      },
    ],
    labels: ['namespace', 'name', 'host'],
    sortedBy: 'Time left',
    width: 24,
  },
  {
    kind: 'graph',
    title: 'Time left, the ten shortest',
    description:
      'Life left of the tokens on the targets. A healthy credential falls to its renewal window and rises again.',
    unit: 's',
    queries: [{ expression: `bottomk(10, ${of(`${life} - timestamp(${life})`)})`, legend: '{{namespace}}/{{name}}' }],
    width: 12,
  },
  {
    kind: 'graph',
    title: 'Failed attempts in a row',
    description: 'Of each credential whose renewal fails. 0 again with the first success.',
    unit: 'short',
    queries: [
      {
        expression: `topk(10, ${of(`enos_credential_consecutive_failures{${ofJob}}`)})`,
        legend: '{{namespace}}/{{name}}',
      },
    ],
    width: 12,
  },
]
