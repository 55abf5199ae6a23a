import { afterAll } from 'vitest'
import { type Cluster, startCluster } from '../control-plane/cluster.ts'
import { controlPlaneFaults } from './cases/control-plane.ts'
import { playFaults } from './fault-case.ts'

/** A control plane for this file alone: other files share one that must keep running. */
let cluster: Cluster | undefined

function runningCluster(): Cluster {
  if (cluster === undefined) throw new Error('the control plane has not started')
  return cluster
}

// Registered before the harness's, so that it runs after it.
afterAll(() => cluster?.stop())

playFaults('The control plane', controlPlaneFaults(runningCluster), {
  isSerial: true,
  access: async () => (cluster = await startCluster({ environment: process.env, log: () => undefined })),
})
