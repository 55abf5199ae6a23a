import { fileURLToPath } from 'node:url'
import type { Cluster } from '../../control-plane/cluster.ts'
import { delay } from '../../integration/harness.ts'
import type { FaultCase } from '../fault-case.ts'

const crds = fileURLToPath(new URL('../../../crds', import.meta.url))

/** Faults of the control plane's own processes, one at a time: they strike all tests. */
export function controlPlaneFaults(cluster: () => Pick<Cluster, 'restartApiServer' | 'pauseEtcd'>): FaultCase[] {
  return [
    // First: a resource of an earlier world, with a finalizer and no operator, would block the deletion.
    {
      name: 'the CRD is deleted and applied again',
      expected: 'the operator waits for the CRD; recreated resources are synced',
      when: 'now',
      holdMs: 2000,
      recoverWithinMs: 40_000,
      begin: async (world) => {
        for (const target of world.targets.keys()) world.referee.excuse(target, 20_000)
        await world.harness.kubectl(['delete', '-k', crds, '--timeout=60s'])
      },
      end: async (world) => {
        await world.harness.kubectl(['apply', '-k', crds])
        await world.harness.waitUntilServed()
        await world.createCredentials()
      },
    },
    {
      name: 'the API server is down for three seconds',
      expected: 'the operator reconnects; tokens that were due are written',
      world: { lifetimeSeconds: 56 },
      holdMs: 0,
      recoverWithinMs: 15_000,
      begin: () => cluster().restartApiServer(() => delay(3000)),
    },
    {
      name: 'etcd is paused for 20 s',
      expected: 'writes are retried; the new token is written when etcd resumes',
      world: { lifetimeSeconds: 56 },
      holdMs: 0,
      recoverWithinMs: 8000,
      begin: () => cluster().pauseEtcd(() => delay(20_000)),
    },
  ]
}
