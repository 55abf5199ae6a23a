import type { KubernetesObject, ObjectMeta, ResourceType } from '../kubernetes/types.ts'
import { formatTime } from '../lib/time.ts'

/** A Deployment, StatefulSet or DaemonSet, with the fields that a restart needs. */
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

/** The annotation of the pod template that `kubectl rollout restart` sets. */
const restartedAtAnnotation = 'kubectl.kubernetes.io/restartedAt'

/** The tokens that a workload is restarted for. */
export interface Restart {
  /** When the last of the tokens was written, by the API server's clock, ms. */
  readonly writtenAtWall: number
  /** Annotations that name the tokens: after a crash they tell that the restart was done, whatever was written since. */
  readonly marks: Readonly<Record<string, string>>
}

/** Whether pods of a workload may hold older tokens. */
export function needsRestart({ metadata, spec }: Workload, { marks, writtenAtWall }: Restart): boolean {
  const annotations = spec?.template?.metadata?.annotations ?? {}
  if (Object.entries(marks).every(([name, value]) => annotations[name] === value)) return false
  const restartedAt = Date.parse(annotations[restartedAtAnnotation] ?? '')
  const createdAt = Date.parse(metadata.creationTimestamp ?? '')
  // Both are in whole seconds: a restart in the same second may have come before the write.
  return !(restartedAt > writtenAtWall) && !(createdAt > writtenAtWall)
}

/** The merge patch of `kubectl rollout restart`, for this version of a workload. */
export function restartPatch({ resourceVersion, uid }: ObjectMeta, restart: Restart, nowWall: number): object {
  // Later than the write by either clock, so that the restart is known to have come after it.
  const restartedAt = formatTime(Math.max(nowWall, restart.writtenAtWall + 1000))
  const annotations = { [restartedAtAnnotation]: restartedAt, ...restart.marks }
  return { metadata: { uid, resourceVersion }, spec: { template: { metadata: { annotations } } } }
}
