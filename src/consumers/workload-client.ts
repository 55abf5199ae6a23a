import { isConflict, isNotFound } from '../kubernetes/errors.ts'
import type { KubernetesClient } from '../kubernetes/types.ts'
import type { Clock } from '../lib/clock.ts'
import type { WorkloadToRestart } from './workload-plan.ts'
import { needsRestart, restartPatch, type Workload, workloadTypes } from './workloads.ts'

/** `isFresh`: the workload was restarted or created since the token was written, by this operator or another client. */
export type RestartOutcome = 'restarted' | 'isFresh' | 'isPaused' | 'isAbsent'

/** A workload's status changes often while it rolls out; more conflicts than these in a row are left to the queue's backoff. */
const maxTries = 5

/**
 * Restarts a workload as `kubectl rollout restart` does, unless it was restarted since the token was written. The patch
 * is for the version that was read: nothing happens when another client restarts the workload meanwhile, or when this
 * process wakes up after a pause.
 */
export async function restartWorkload(
  { client, clock }: { readonly client: Pick<KubernetesClient, 'get' | 'patch'>; readonly clock: Clock },
  { kind, name, namespace, restart }: WorkloadToRestart,
  signal: AbortSignal,
): Promise<RestartOutcome> {
  const type = workloadTypes[kind]
  const ref = { namespace, name }
  for (let tries = 1; ; tries++) {
    try {
      const workload = await client.get<Workload>(type, ref, { signal })
      if (workload.spec?.paused === true) return 'isPaused'
      if (!needsRestart(workload, restart)) return 'isFresh'
      const body = restartPatch(workload.metadata, restart, clock.wall())
      await client.patch(type, ref, { type: 'merge', body }, { signal })
      return 'restarted'
    } catch (error) {
      if (isNotFound(error)) return 'isAbsent'
      if (!isConflict(error) || tries === maxTries) throw error
    }
  }
}
