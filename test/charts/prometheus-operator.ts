import { join } from 'node:path'
import { run } from '../support/run.ts'

/** Kinds that the chart renders. */
const kinds = ['servicemonitors', 'podmonitors', 'prometheusrules'] as const

/** The CRDs of the Prometheus operator, as it publishes them, from its Go module. @returns the files */
export async function prometheusOperatorCrds(): Promise<string[]> {
  const module = 'github.com/prometheus-operator/prometheus-operator@v0.85.0'
  const { Dir: folder } = JSON.parse(await run('go', ['mod', 'download', '-json', module])) as { Dir: string }
  return kinds.map((kind) => join(folder, `example/prometheus-operator-crd/monitoring.coreos.com_${kind}.yaml`))
}
