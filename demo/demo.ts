import { connect } from '../src/kubernetes/connect.ts'
import type { Clock } from '../src/lib/clock.ts'
import { startSimulator } from '../simulator/server.ts'
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
  /** Counted from when all is Ready, in ms; undefined: until the signal aborts. */
  readonly durationMs: number | undefined
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal
  /** Called with the operator's process id. */
  readonly onOperator?: (pid: number) => void
}

const settleLimitMs = 30_000

/**
 * Sets all up, plays, and takes all down but what is in the cluster.
 * @returns whether it went as it should
 */
export async function runDemo(options: DemoOptions): Promise<boolean> {
  const { clock, cluster, signal, terminal } = options
  await using cleanup = new AsyncDisposableStack()
  const gateway = await startSimulator({ clock, applications, lifetimeSeconds: lifetimeMs / 1000 })
  cleanup.defer(() => gateway.close())
  const connection = connect({
    kubeconfig: { flag: cluster.kubeconfig, environment: {} },
    clock,
    userAgent: 'enos-demo',
    fieldManager: 'enos-demo',
  })
  cleanup.defer(() => connection.close())

  const show = new Show(options, gateway, new Plant(connection.client))
  terminal.say('starting the operator, as the service account of the manifests')
  const operator = new Operator(cluster.operatorKubeconfig, (reason) => {
    // Ctrl-C reaches it as well, and may reach it first.
    if (!signal.aborted) show.breakDown(reason)
  })
  cleanup.defer(() => operator.stop())
  options.onOperator?.(operator.pid)
  await createPlant(cluster.kubectl, gateway.url)
  await show.untilReady(settleLimitMs)
  cleanup.defer(() => terminal.end())
  const outcome = await show.play()

  terminal.end()
  terminal.say(`\n${renderSummary(outcome)}`)
  return failuresOf(outcome).length === 0
}
