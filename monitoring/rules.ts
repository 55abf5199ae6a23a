import { home as homePage } from '../tools/published.ts'
import { credentialAlerts } from './alerts/credential.ts'
import { gatewayAlerts } from './alerts/gateway.ts'
import { operatorAlerts } from './alerts/operator.ts'
import { recordings } from './recordings.ts'
import { type Alert, type Duration, durationPrinter } from './rule.ts'

/** Of the whole product, in the order of the list of runbooks. */
export const alerts: readonly Alert[] = [...credentialAlerts, ...gatewayAlerts, ...operatorAlerts]

const intervalSeconds = 30

/** Where the runbook of an alert is. */
export function runbookUrl(name: string): string {
  return `${homePage}/docs/runbooks/${name}.md`
}

/** The content of a rules file of Prometheus. */
export interface RulesFile {
  readonly groups: readonly {
    readonly name: string
    readonly interval: string
    readonly rules: readonly Readonly<Record<string, unknown>>[]
  }[]
}

/**
 * One group, so that each evaluation of an alert sees the recordings of the same moment.
 *
 * @param factor shortens every duration, for tests; expressions stay as they are
 */
export function rulesFile(factor = 1): RulesFile {
  const duration = durationPrinter(factor)
  const rules = [
    ...recordings.map(({ expression, record }) => ({ record, expr: expression(duration) })),
    ...alerts.map((alert) => alertingRule(alert, duration)),
  ]
  return { groups: [{ name: 'enos-credential-operator', interval: duration(intervalSeconds), rules }] }
}

function alertingRule(alert: Alert, duration: Duration): Readonly<Record<string, unknown>> {
  const { description, expression, forSeconds, keepFiringForSeconds, name, severity, summary } = alert
  return {
    alert: name,
    expr: expression(duration),
    ...(forSeconds === 0 ? {} : { for: duration(forSeconds) }),
    ...(keepFiringForSeconds === 0 ? {} : { keep_firing_for: duration(keepFiringForSeconds) }),
    labels: { severity },
    annotations: { summary, description, runbook_url: runbookUrl(name) },
  }
}

/** The same for the Prometheus operator. */
export function prometheusRule(): unknown {
  return {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: {
      name: 'enos-credential-operator',
      namespace: 'enos-system',
      labels: { 'app.kubernetes.io/name': 'enos-credential-operator' },
    },
    spec: rulesFile(),
  }
}
