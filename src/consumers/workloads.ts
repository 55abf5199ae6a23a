import type { KubernetesObject, ResourceType } from '../kubernetes/types.ts'
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

/** Whether pods of a workload may hold what stood in a Secret before this moment (wall clock, ms). */
export function needsRestart({ metadata, spec }: Workload, secretWrittenAtWall: number): boolean {
  const restarted = Date.parse(spec?.template?.metadata?.annotations?.[restartedAt] ?? '')
  const created = Date.parse(metadata.creationTimestamp ?? '')
  // Both are in whole seconds: one in the same second may have come before the write.
  return !(restarted > secretWrittenAtWall) && !(created > secretWrittenAtWall)
}

/** The merge patch of `kubectl rollout restart`. */
export function restartBody(nowWallMs: number): object {
  return { spec: { template: { metadata: { annotations: { [restartedAt]: formatTime(nowWallMs) } } } } }
}
