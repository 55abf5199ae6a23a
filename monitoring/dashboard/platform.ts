import { ofJob, type Panel } from './panel.ts'

const rate = (metric: string, matchers = ''): string =>
  `rate(${metric}{${[matchers, ofJob].filter((part) => part !== '').join(',')}}[$__rate_interval])`
const quantile = (q: number, metric: string, by: string): string =>
  `histogram_quantile(${q}, sum by (${['le', by].filter((label) => label !== '').join(', ')}) (${rate(`${metric}_bucket`)}))`

function graph(title: string, description: string, unit: string, queries: Panel['queries']): Panel {
  return { kind: 'graph', title, description, unit, queries, width: 8 }
}

/** For the platform: renewals, headroom, gateways, queues, the API server, memory. */
export const platformPanels: readonly Panel[] = [
  graph('Renewals', 'New tokens and failed attempts, by method.', 'ops', [
    {
      expression: `sum by (method, result) (${rate('enos_credential_renewals_total')})`,
      legend: '{{method}} {{result}}',
    },
  ]),
  graph(
    'Headroom of renewals',
    'Life left of the old token when the new one was on the last target. 0: pods held an expired one.',
    's',
    [
      { expression: quantile(0.05, 'enos_credential_renewal_headroom_seconds', ''), legend: 'worst of twenty' },
      { expression: quantile(0.5, 'enos_credential_renewal_headroom_seconds', ''), legend: 'median' },
    ],
  ),
  graph('Lateness of renewals', 'Time from due to begun. Waiting for an open circuit does not count.', 's', [
    { expression: quantile(0.99, 'enos_credential_renewal_overdue_seconds', ''), legend: 'p99' },
  ]),
  graph('Calls of gateways', 'By gateway and status code. 0 is success.', 'ops', [
    { expression: `sum by (host, code) (${rate('enos_gateway_requests_total')})`, legend: '{{host}} {{code}}' },
  ]),
  graph('Duration of calls', 'Of each gateway, 99th percentile.', 's', [
    { expression: quantile(0.99, 'enos_gateway_request_duration_seconds', 'host'), legend: '{{host}}' },
  ]),
  {
    ...graph('Open circuits', '1 while a gateway is only probed, since it fails for all.', 'short', [
      { expression: `max by (host) (enos_gateway_circuit_open{${ofJob}})`, legend: '{{host}}' },
    ]),
    alarmFrom: 1,
  },
  graph('Clock skew', 'Seconds by which the clock of a gateway is ahead.', 's', [
    { expression: `max by (host) (enos_gateway_clock_skew_seconds{${ofJob}})`, legend: '{{host}}' },
  ]),
  graph('Writes of targets', 'By reason and result.', 'ops', [
    {
      expression: `sum by (reason, result) (${rate('enos_credential_target_writes_total')}) > 0`,
      legend: '{{reason}} {{result}}',
    },
  ]),
  graph('Keys waiting', 'In the queues of the leader. The queues of a standby fill and wait.', 'short', [
    {
      expression: `max by (name) (workqueue_depth{${ofJob}} and on (job, instance) leader_election_master_status == 1)`,
      legend: '{{name}}',
    },
  ]),
  graph('Wait in queues', 'From ready to picked up, 99th percentile.', 's', [
    { expression: quantile(0.99, 'workqueue_queue_duration_seconds', 'name'), legend: '{{name}}' },
  ]),
  graph('Requests to the API server', 'By status code. <error>: no answer.', 'reqps', [
    { expression: `sum by (code) (${rate('rest_client_requests_total')})`, legend: '{{code}}' },
  ]),
  {
    ...graph(
      'Silence of watches',
      'Time since the API server last answered a watch: at most a minute, when all is well.',
      's',
      [
        {
          expression: `max by (resource) (timestamp(enos_watch_last_contact_timestamp_seconds{${ofJob}}) - enos_watch_last_contact_timestamp_seconds{${ofJob}})`,
          legend: '{{resource}}',
        },
      ],
    ),
    alarmFrom: 180,
  },
  {
    ...graph('Leader', '1 on the replica that leads, 0 on its standby.', 'short', [
      { expression: `max by (instance) (leader_election_master_status{${ofJob}})`, legend: '{{instance}}' },
    ]),
    isPerReplica: true,
  },
  {
    ...graph('Memory', 'Resident, of each replica.', 'bytes', [
      { expression: `max by (instance) (process_resident_memory_bytes{${ofJob}})`, legend: '{{instance}}' },
    ]),
    isPerReplica: true,
  },
  {
    ...graph('Event-loop lag', 'Of each replica, 99th percentile.', 's', [
      { expression: `max by (instance) (nodejs_eventloop_lag_p99_seconds{${ofJob}})`, legend: '{{instance}}' },
    ]),
    isPerReplica: true,
    alarmFrom: 1,
  },
]
