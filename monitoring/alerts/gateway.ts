import { info } from '../recordings.ts'
import { type Alert, minute } from '../rule.ts'

/** Up to five credentials of the gateway, and how many it has in all. */
const affected = [
  `Credentials of this gateway ({{ with printf "count(${info}{job=%q,host=%q})" $labels.job $labels.host | query }}{{ . | first | value }}{{ else }}0{{ end }}):`,
  `{{ range printf "topk(5, ${info}{job=%q,host=%q})" $labels.job $labels.host | query }} {{ .Labels.namespace }}/{{ .Labels.name }}{{ end }}.`,
].join('')

/** Codes of a gateway that is itself at fault. 1001 to 1004 and HTTP 4xx refuse one request. */
const failed = 'code=~"1005|error|unexpected|http_429|http_5.."'

/** Only the leader calls gateways: its successor begins without these series. */
const handover = 5 * minute

export const gatewayAlerts: readonly Alert[] = [
  {
    name: 'EnosGatewayFailing',
    expression: (duration) =>
      [
        `sum by (job, host) (rate(enos_gateway_requests_total{${failed}}[${duration(10 * minute)}]))`,
        `/ sum by (job, host) (rate(enos_gateway_requests_total[${duration(10 * minute)}]))`,
        '> 0.5',
      ].join('\n'),
    // Longer than the range, in which a single failure stays visible.
    forSeconds: 15 * minute,
    keepFiringForSeconds: 10 * minute,
    severity: 'warning',
    summary: 'The gateway {{ $labels.host }} fails',
    description: `{{ $value | humanizePercentage }} of the calls to {{ $labels.host }} failed in the last 10 minutes. ${affected}`,
  },
  {
    name: 'EnosGatewayCircuitOpen',
    expression: (duration) =>
      `max by (job, host) (last_over_time(enos_gateway_circuit_open[${duration(handover)}])) == 1`,
    forSeconds: 2 * minute,
    keepFiringForSeconds: 5 * minute,
    severity: 'warning',
    summary: 'The gateway {{ $labels.host }} does not answer',
    description: `{{ $labels.host }} has failed for all of its applications, and is only probed until it answers again. No token of this gateway is renewed meanwhile. ${affected}`,
  },
  {
    // EnOS does not document what it tolerates. 30 s is no error of measurement (1 s), and no synchronised clock.
    name: 'EnosGatewayClockSkew',
    expression: (duration) =>
      `max by (job, host) (abs(last_over_time(enos_gateway_clock_skew_seconds[${duration(handover)}]))) > 30`,
    forSeconds: 10 * minute,
    keepFiringForSeconds: 5 * minute,
    severity: 'warning',
    summary: 'The clocks of the operator and of {{ $labels.host }} differ by {{ $value | humanizeDuration }}',
    description: `A gateway may refuse signatures whose timestamp is off, and expiry times in Secrets are off by as much. ${affected}`,
  },
]
