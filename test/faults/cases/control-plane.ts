import { fileURLToPath } from 'node:url'
import type { Cluster } from '../../control-plane/cluster.ts'
import { delay } from '../../integration/harness.ts'
import type { FaultCase } from '../fault-case.ts'

const crdName = 'enosappcredentials.enos.io'
const crds = fileURLToPath(new URL('../../../crds', import.meta.url))

/** Faults of the control plane's own processes: one at a time, for they strike everybody. */
export function controlPlaneFaults(cluster: () => Pick<Cluster, 'restartApiServer' | 'pauseEtcd'>): FaultCase[] {
  return [
    // First: a resource that another world left behind, with a finalizer and no operator, would hold up the deletion.
    {
      name: 'the CRD is removed, and applied again',
      expected: 'the operator waits for it; resources that are made again are synced',
      when: 'now',
      holdMs: 2000,
      recoverWithinMs: 40_000,
      begin: async (world) => {
        for (const target of world.targets.keys()) world.referee.excuse(target, 20_000)
        await world.harness.kubectl(['delete', '-k', crds, '--timeout=60s'])
      },
      end: async (world) => {
        await world.harness.kubectl(['apply', '-k', crds])
        await world.harness.kubectl(['wait', '--for=condition=Established', `crd/${crdName}`, '--timeout=30s'])
        await world.createCredentials()
      },
    },
    {
      name: 'the API server is away for three seconds, and starts again',
      expected: 'connected again; what was due meanwhile is written',
      world: { lifetimeSeconds: 56 },
      holdMs: 0,
      recoverWithinMs: 15_000,
      begin: () => cluster().restartApiServer(() => delay(3000)),
    },
    {
      name: 'etcd stands still for 20 s',
      expected: 'writes fail and are tried again; the new token is on its target when etcd goes on',
      world: { lifetimeSeconds: 56 },
      holdMs: 0,
      recoverWithinMs: 8000,
      begin: () => cluster().pauseEtcd(() => delay(20_000)),
    },
  ]
}
