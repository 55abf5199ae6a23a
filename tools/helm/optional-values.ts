import { z } from 'zod'
import { anyObject, list, object, stringMap, switchValue, value } from './values.ts'

/** Values of objects that not every cluster has a use for. */

const durationPattern = /^([0-9]+(ms|s|m|h))*$/

/** Values of every object of the Prometheus operator. */
const monitoringObject = {
  enabled: switchValue(false, 'Create it.'),
  renderMode: value(
    z.enum(['skipIfMissing', 'failIfMissing', 'alwaysRender']),
    'skipIfMissing',
    'Where the cluster lacks the kind: leave it out, fail, or render it all the same (for `helm template`).',
  ),
  namespace: value(z.string(), '', 'Namespace. Default: that of the release.'),
  additionalLabels: stringMap('Labels by which Prometheus selects it.'),
} as const

function monitor(what: string, extra: string) {
  return object(`The ${what} of the Prometheus operator. ${extra}`, {
    ...monitoringObject,
    interval: value(z.string().regex(durationPattern), '30s', 'Interval of scrapes.'),
    scrapeTimeout: value(z.string().regex(durationPattern), '', "Timeout of a scrape. Default: Prometheus's."),
    honorLabels: switchValue(
      true,
      'Keep the label `namespace` of the resources. Without it Prometheus renames it to `exported_namespace`.',
    ),
    tlsConfig: value(
      anyObject(),
      {},
      'TLS of scrapes where `metrics.listen.secure.secretName` is set, such as `ca` and `serverName`.',
    ),
    relabelings: list('Relabelings of the target.'),
    metricRelabelings: list('Relabelings of the series.'),
  })
}

export const monitorValues = {
  serviceMonitor: monitor('ServiceMonitor', 'It needs `metrics.service.enabled`.'),
  podMonitor: monitor('PodMonitor', 'It needs no Service: use it or a ServiceMonitor, not both.'),
  prometheusRule: object('The alerts, as a PrometheusRule of the Prometheus operator.', monitoringObject),
  dashboard: object('The dashboard, as a ConfigMap that the sidecar of Grafana finds.', {
    enabled: switchValue(false, 'Create it.'),
    namespace: value(z.string(), '', 'Namespace. Default: that of the release.'),
    labels: value(
      z.record(z.string(), z.string()),
      { grafana_dashboard: '1' },
      'Labels by which the sidecar finds it.',
    ),
    annotations: stringMap('Annotations, such as the folder in Grafana.'),
  }),
} as const

const peers = 'as `podSelector`, `namespaceSelector` or `ipBlock`'
const ports = (initial: number[], description: string) =>
  value(z.array(z.int().min(1).max(65_535)).min(1), initial, description)

export const networkPolicyValues = object(
  'The NetworkPolicy. Probes are allowed from everywhere, all that is not named here is forbidden. It has no effect with `hostNetwork`.',
  {
    enabled: switchValue(false, 'Create it.'),
    metrics: object('Scrapes of /metrics.', { from: list(`Sources, ${peers}. Empty: any.`) }),
    dns: object('Name resolution.', {
      to: list(`Servers, ${peers}. Empty: any.`),
      ports: ports([53], 'Ports (UDP and TCP).'),
    }),
    apiServer: object('The API server of the cluster.', {
      to: list(`Addresses, ${peers}. Empty: any.`),
      ports: ports([443, 6443], 'Ports: of the Service, and behind it.'),
    }),
    gateways: object('Gateways, or the proxy in front of them.', {
      to: list(`Addresses, ${peers}. Empty: any.`),
      ports: ports([443], 'Ports.'),
    }),
  },
)
