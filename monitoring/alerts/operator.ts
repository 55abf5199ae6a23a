import { ofOperator } from '../recordings.ts'
import { type Alert, hour, minute } from '../rule.ts'

const leading = ofOperator('leader_election_master_status')
const leaderOnly = `on (job, instance) (leader_election_master_status == 1)`
const refused = 'code=~"401|403|429|5..|<error>"'

export const operatorAlerts: readonly Alert[] = [
  {
    name: 'EnosOperatorAbsent',
    expression: () => 'absent(enos_build_info)',
    forSeconds: 5 * minute,
    keepFiringForSeconds: 2 * minute,
    severity: 'critical',
    summary: 'No replica of the operator is scraped',
    description:
      'Prometheus has no metrics of any replica: either none runs, and tokens expire, or the scrape does not work, and all other alerts of the operator see nothing new.',
  },
  {
    name: 'EnosOperatorNoLeader',
    expression: () => `max by (job, namespace, name) (${leading}) == 0`,
    forSeconds: 3 * minute,
    keepFiringForSeconds: 2 * minute,
    severity: 'critical',
    summary: 'No replica of {{ $labels.job }} leads',
    description:
      'Replicas run, and none holds the lease {{ $labels.name }}. No token is renewed and no target is written until one does.',
  },
  {
    name: 'EnosOperatorTwoLeaders',
    expression: () => `sum by (job, namespace, name) (${leading}) > 1`,
    // Replicas are scraped one after the other, so that a handover shows two leaders for one interval.
    forSeconds: 3 * minute,
    keepFiringForSeconds: 5 * minute,
    severity: 'critical',
    summary: '{{ $value }} replicas of {{ $labels.job }} lead',
    description:
      '{{ $value }} replicas work as leader of {{ $labels.name }} at a time, or run without leader election. They make each call and write each target several times.',
  },
  {
    name: 'EnosOperatorWatchStale',
    expression: () =>
      [
        'max by (job, resource) (',
        '  timestamp(enos_watch_last_contact_timestamp_seconds) - enos_watch_last_contact_timestamp_seconds',
        ') > 180',
      ].join('\n'),
    forSeconds: 2 * minute,
    keepFiringForSeconds: 5 * minute,
    severity: 'warning',
    summary: 'The operator hears nothing of {{ $labels.resource }}',
    description:
      'For {{ $value | humanizeDuration }} the API server has not answered the watch of {{ $labels.resource }}, which it does at least once a minute. Changes are not seen.',
  },
  {
    name: 'EnosOperatorRenewalsLate',
    expression: (duration) =>
      [
        'histogram_quantile(0.99,',
        `  sum by (job, le) (rate(enos_credential_renewal_overdue_seconds_bucket[${duration(10 * minute)}]))`,
        ') > 5',
      ].join('\n'),
    forSeconds: 5 * minute,
    keepFiringForSeconds: 5 * minute,
    severity: 'warning',
    summary: 'The operator begins renewals late',
    description:
      'One renewal in a hundred begins {{ $value | humanizeDuration }} or more after it is due. Open circuits do not count: the operator itself is too slow.',
  },
  {
    name: 'EnosOperatorQueueStuck',
    expression: (duration) =>
      [
        '(',
        '  workqueue_longest_running_processor_seconds > 300',
        '  or',
        '  workqueue_depth > 0',
        '  and on (job, instance, name)',
        `  (rate(workqueue_work_duration_seconds_count[${duration(5 * minute)}]) == 0)`,
        ')',
        // The queues of a standby fill and wait.
        `and ${ofOperator(leaderOnly)}`,
      ].join('\n'),
    forSeconds: 5 * minute,
    keepFiringForSeconds: 2 * minute,
    severity: 'critical',
    summary: 'The queue {{ $labels.name }} of {{ $labels.instance }} makes no progress',
    description:
      'Keys wait in the queue {{ $labels.name }} and none is finished, or one key has been handled for more than 5 minutes.',
  },
  {
    name: 'EnosOperatorAPIServerRefusing',
    expression: (duration) =>
      [
        `sum by (job, code) (${ofOperator(`rate(rest_client_requests_total{${refused}}[${duration(5 * minute)}])`)})`,
        '/ on (job) group_left ()',
        `sum by (job) (${ofOperator(`rate(rest_client_requests_total[${duration(5 * minute)}])`)})`,
        '> 0.1',
      ].join('\n'),
    forSeconds: 10 * minute,
    keepFiringForSeconds: 5 * minute,
    severity: 'warning',
    summary: 'The API server refuses requests of the operator with {{ $labels.code }}',
    description:
      '{{ $value | humanizePercentage }} of the requests to the API server end with {{ $labels.code }} (<error>: no answer). Changes are not seen, or targets are not written.',
  },
  {
    name: 'EnosOperatorEventLoopLag',
    expression: () => ofOperator('nodejs_eventloop_lag_p99_seconds > 1'),
    forSeconds: 10 * minute,
    keepFiringForSeconds: 5 * minute,
    severity: 'warning',
    summary: 'The event loop of {{ $labels.instance }} lags by {{ $value | humanizeDuration }}',
    description:
      'Timers and requests of {{ $labels.instance }} wait for more than a second. Renewals and the renewal of the lease are late.',
  },
  {
    name: 'EnosOperatorLogLinesDropped',
    // A single burst leaves the range before the 15 minutes are over.
    expression: (duration) => `increase(enos_log_lines_dropped_total[${duration(10 * minute)}]) > 0`,
    forSeconds: 15 * minute,
    keepFiringForSeconds: 5 * minute,
    severity: 'warning',
    summary: 'The log of {{ $labels.instance }} loses lines',
    description:
      '{{ $value | humanize }} lines were dropped in the last 10 minutes: for 15 minutes standard output of {{ $labels.instance }} has been closed, or has taken lines more slowly than they come. Renewals go on.',
  },
  {
    name: 'EnosOperatorVersionSkew',
    expression: () => 'count by (job) (count by (job, version) (enos_build_info)) > 1',
    forSeconds: hour,
    keepFiringForSeconds: 0,
    severity: 'info',
    summary: 'Replicas of {{ $labels.job }} run {{ $value }} versions',
    description: 'A rollout takes minutes; this one has not come to an end for an hour.',
  },
]
