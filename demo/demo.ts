import { startSimulator } from '../simulator/server.ts'
import { connect } from '../src/kubernetes/connect.ts'
import type { Clock } from '../src/lib/clock.ts'
import type { Cluster } from '../test/control-plane/cluster.ts'
import { Operator } from './operator.ts'
import { applications, lifetimeMs } from './plant.ts'
import { createPlant, Plant } from './plant-on-cluster.ts'
import { Show } from './show.ts'
import { failuresOf, renderSummary } from './summary.ts'
import type { Terminal } from './terminal.ts'

export interface DemoOptions {
  readonly cluster: Pick<Cluster, 'kubeconfig' | 'operatorKubeconfig' | 'kubectl'>
  readonly clock: Clock
  readonly terminal: Terminal
  /** In ms from the moment that all resources are Ready; undefined: until the signal aborts. */
  readonly durationMs: number | undefined
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal
  /** Called with the operator's process id. */
  readonly onOperator?: (pid: number) => void
}

const maxReadyMs = 30_000

/**
 * Starts gateway and operator, plays the faults, and stops both. The objects stay in the cluster.
 * @returns whether the demo passed
 */
export async function runDemo(options: DemoOptions): Promise<boolean> {
  const { clock, cluster, signal, terminal } = options
  await using cleanup = new AsyncDisposableStack()
  const gateway = await startSimulator({ clock, applications, lifetimeSeconds: lifetimeMs / 1000 })
  cleanup.defer(() => gateway.close())
  const connection = connect({
    kubeconfig: { environment: { KUBECONFIG: cluster.kubeconfig } },
    clock,
    userAgent: 'enos-demo',
    fieldManager: 'enos-demo',
  })
  cleanup.defer(() => connection.close())

  const show = new Show(options, gateway, new Plant(connection.client))
  terminal.print('starting the operator with the service account of the manifests')
  const operator = new Operator(cluster.operatorKubeconfig, (reason) => {
    // Ctrl-C reaches the operator as well, maybe first: its exit is then no failure.
    if (!signal.aborted) show.abort(reason)
  })
  cleanup.defer(() => operator.stop())
  options.onOperator?.(operator.pid)
  await createPlant(cluster.kubectl, gateway.url)
  await show.untilReady(maxReadyMs)
  cleanup.defer(() => terminal.end())
  const outcome = await show.play()

  terminal.end()
  terminal.print(`\n${renderSummary(outcome)}`)
  return failuresOf(outcome).length === 0
}
