import { startCluster } from '../test/control-plane/cluster.ts'
import type { Arguments } from './arguments.ts'

/** The cluster on which the operator is measured. */
export interface Cluster {
  readonly adminKubeconfig: string
  readonly operatorKubeconfig: string
  readonly stop: () => Promise<void>
}

/** The given cluster, else a new one for this run. */
export async function openCluster(given: Arguments['cluster']): Promise<Cluster> {
  if (given !== undefined) return { ...given, stop: () => Promise.resolve() }
  const log = (line: string): void => void process.stderr.write(`${line}\n`)
  const { kubeconfig, operatorKubeconfig, stop } = await startCluster({ environment: process.env, log })
  return { adminKubeconfig: kubeconfig, operatorKubeconfig, stop }
}
