import { startCluster } from '../test/control-plane/cluster.ts'
import type { Arguments } from './arguments.ts'

/** Where the operator is measured. */
export interface Cluster {
  readonly adminKubeconfig: string
  readonly operatorKubeconfig: string
  readonly end: () => Promise<void>
}

/** The cluster that was named, or one of the run's own. */
export async function openCluster(named: Arguments['cluster']): Promise<Cluster> {
  if (named !== undefined) return { ...named, end: () => Promise.resolve() }
  const log = (line: string): void => void process.stderr.write(`${line}\n`)
  const { kubeconfig, operatorKubeconfig, stop } = await startCluster({ environment: process.env, log })
  return { adminKubeconfig: kubeconfig, operatorKubeconfig, end: stop }
}
