import { isConflict, isNotFound } from '../kubernetes/errors.ts'
import type { KubernetesClient } from '../kubernetes/types.ts'
import type { Clock } from '../lib/clock.ts'
import { type NamedWorkload, planWorkload, type WorkloadState } from './workload-plan.ts'
import { restartPatch, type Workload, workloadTypes } from './workloads.ts'

/** A workload's status changes often while it rolls out; more conflicts than these in a row are left to the queue's backoff. */
const maxTries = 5

/**
 * Reads a workload and restarts it as `kubectl rollout restart` does, if its tasks ask for that. The patch is for the
 * version that was read: nothing happens when another client restarts the workload meanwhile, or when this process wakes
 * up after a pause.
 */
export async function restartWorkload(
  { client, clock }: { readonly client: Pick<KubernetesClient, 'get' | 'patch'>; readonly clock: Clock },
  named: NamedWorkload,
  signal: AbortSignal,
): Promise<WorkloadState> {
  const { kind, name, namespace } = named
  const type = workloadTypes[kind]
  const ref = { namespace, name }
  for (let tries = 1; ; tries++) {
    try {
      const workload = await client.get<Workload>(type, ref, { signal })
      const planned = planWorkload(workload, named)
      if (typeof planned === 'string') return planned
      const body = restartPatch(workload, planned, clock.wall())
      await client.patch(type, ref, { type: 'merge', body }, { signal })
      return 'restarted'
    } catch (error) {
      if (isNotFound(error)) return 'isAbsent'
      if (!isConflict(error) || tries === maxTries) throw error
    }
  }
}
