import { join } from 'node:path'
import { goModuleFolder } from '../support/go-module.ts'

/** Kinds that the chart renders. */
const kinds = ['servicemonitors', 'podmonitors', 'prometheusrules'] as const

/** The CRDs of the Prometheus operator, as it publishes them, from its Go module. @returns the files */
export async function prometheusOperatorCrds(): Promise<string[]> {
  const folder = await goModuleFolder('github.com/prometheus-operator/prometheus-operator@v0.85.0')
  return kinds.map((kind) => join(folder, `example/prometheus-operator-crd/monitoring.coreos.com_${kind}.yaml`))
}
