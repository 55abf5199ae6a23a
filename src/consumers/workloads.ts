import { isConflict, isNotFound } from '../kubernetes/errors.ts'
import type { KubernetesClient, KubernetesObject, ObjectMeta, ObjectRef, ResourceType } from '../kubernetes/types.ts'
import type { Clock } from '../lib/clock.ts'
import { formatTime } from '../lib/time.ts'

/** A Deployment, StatefulSet or DaemonSet, as far as a restart needs it. */
export interface Workload extends KubernetesObject {
  readonly spec?: {
    readonly paused?: boolean
    readonly template?: { readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> } }
  }
}

export const workloadTypes = {
  Deployment: { group: 'apps', version: 'v1', kind: 'Deployment', plural: 'deployments' },
  StatefulSet: { group: 'apps', version: 'v1', kind: 'StatefulSet', plural: 'statefulsets' },
  DaemonSet: { group: 'apps', version: 'v1', kind: 'DaemonSet', plural: 'daemonsets' },
} as const satisfies Record<string, ResourceType>

/** What `kubectl rollout restart` sets. */
const restartedAt = 'kubectl.kubernetes.io/restartedAt'

/** What a workload is restarted for. */
export interface Restart {
  /** The last moment when one of the tokens was written, by the API server's clock, ms. */
  readonly writtenAtWall: number
  /** Annotations that name the tokens. By them it is known after a crash that it was done, whatever was written since. */
  readonly marks: Readonly<Record<string, string>>
}

/** Whether pods of a workload may hold older tokens. */
export function needsRestart({ metadata, spec }: Workload, { marks, writtenAtWall }: Restart): boolean {
  const annotations = spec?.template?.metadata?.annotations ?? {}
  if (Object.entries(marks).every(([name, value]) => annotations[name] === value)) return false
  const restarted = Date.parse(annotations[restartedAt] ?? '')
  const created = Date.parse(metadata.creationTimestamp ?? '')
  // Both are in whole seconds: one in the same second may have come before the write.
  return !(restarted > writtenAtWall) && !(created > writtenAtWall)
}

/** What came of a restart: `isFresh` was restarted or made since, by whomever. */
export type RestartOutcome = 'restarted' | 'isFresh' | 'isPaused' | 'isAbsent'

/** Its status changes often while it rolls out; more conflicts than these in a row are left to the queue's backoff. */
const triesAtConflict = 5

/**
 * Restarts a workload as `kubectl rollout restart` does, unless it was restarted since. The patch is for the version that
 * was looked at: when somebody else restarts it meanwhile, or a process wakes up after it was paused, nothing happens.
 */
export async function restartWorkload(
  { client, clock }: { readonly client: Pick<KubernetesClient, 'get' | 'patch'>; readonly clock: Clock },
  kind: keyof typeof workloadTypes,
  ref: ObjectRef,
  restart: Restart,
  signal: AbortSignal,
): Promise<RestartOutcome> {
  const type = workloadTypes[kind]
  for (let tries = 1; ; tries++) {
    try {
      const workload = await client.get<Workload>(type, ref, { signal })
      if (workload.spec?.paused === true) return 'isPaused'
      if (!needsRestart(workload, restart)) return 'isFresh'
      // Later than the write by whatever clock that was timed, so that it is known to have come after it.
      const atWall = Math.max(clock.wall(), restart.writtenAtWall + 1000)
      const body = restartBody(workload.metadata, { [restartedAt]: formatTime(atWall), ...restart.marks })
      await client.patch(type, ref, { type: 'merge', body }, { signal })
      return 'restarted'
    } catch (error) {
      if (isNotFound(error)) return 'isAbsent'
      if (!isConflict(error) || tries === triesAtConflict) throw error
    }
  }
}

/** The merge patch of `kubectl rollout restart`, for this version of a workload. */
function restartBody({ uid, resourceVersion }: ObjectMeta, annotations: Readonly<Record<string, string>>): object {
  return { metadata: { uid, resourceVersion }, spec: { template: { metadata: { annotations } } } }
}
