import { afterAll } from 'vitest'
import { type Cluster, startCluster } from '../control-plane/cluster.ts'
import { controlPlaneFaults } from './cases/control-plane.ts'
import { playFaults } from './fault-case.ts'

/** Of its own: the other files' goes on undisturbed. */
let cluster: Cluster | undefined

function present(): Cluster {
  if (cluster === undefined) throw new Error('the control plane is not started')
  return cluster
}

// Before the harness, so that it ends after it.
afterAll(() => cluster?.stop())

playFaults('The control plane', controlPlaneFaults(present), {
  isSerial: true,
  access: async () => (cluster = await startCluster({ environment: process.env, log: () => undefined })),
})
