import { restartedForAnnotation } from '../api/v1alpha1/names.ts'
import type { KubernetesObject, ResourceType } from '../kubernetes/types.ts'
import { formatTime } from '../lib/time.ts'
import type { PodSpec } from './pods.ts'

type Annotations = Readonly<Record<string, string>>

/** A Deployment, StatefulSet or DaemonSet, with the fields that a restart needs. */
export interface Workload extends KubernetesObject {
  readonly spec?: {
    readonly paused?: boolean
    readonly replicas?: number
    /** Of a StatefulSet or DaemonSet. */
    readonly updateStrategy?: { readonly type?: string; readonly rollingUpdate?: { readonly partition?: number } }
    readonly template?: { readonly metadata?: { readonly annotations?: Annotations }; readonly spec?: PodSpec }
  }
  readonly status?: {
    readonly observedGeneration?: number
    readonly replicas?: number
    readonly updatedReplicas?: number
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason?: string }[]
    /** These are of a DaemonSet. */
    readonly currentNumberScheduled?: number
    readonly desiredNumberScheduled?: number
    readonly updatedNumberScheduled?: number
  }
}

export const workloadTypes = {
  Deployment: { group: 'apps', version: 'v1', kind: 'Deployment', plural: 'deployments' },
  StatefulSet: { group: 'apps', version: 'v1', kind: 'StatefulSet', plural: 'statefulsets' },
  DaemonSet: { group: 'apps', version: 'v1', kind: 'DaemonSet', plural: 'daemonsets' },
} as const satisfies Record<string, ResourceType>

/** The annotation of the pod template that `kubectl rollout restart` sets. */
const restartedAtAnnotation = 'kubectl.kubernetes.io/restartedAt'

/** More marks than any workload has of living credentials. */
const maxMarks = 32

/** The tokens that a workload is restarted for. */
export interface Restart {
  /** When the last of the tokens was written, by the API server's clock, ms. */
  readonly writtenAtWall: number
  /**
   * Annotations that name the tokens. On the pod template they make the rollout, and go if another controller resets the
   * template; on the workload itself they stay, so that no process restarts it a second time for these tokens.
   */
  readonly marks: Annotations
}

/** Whether pods of a workload may hold older tokens and a restart was not asked for yet. */
export function needsRestart(workload: Workload, restart: Restart): boolean {
  const { metadata, spec } = workload
  const template = spec?.template?.metadata?.annotations
  const isMarked = ([name, value]: [string, string]): boolean =>
    template?.[name] === value || metadata.annotations?.[name] === value
  if (Object.entries(restart.marks).every(isMarked)) return false
  const createdAt = Date.parse(metadata.creationTimestamp ?? '')
  // In whole seconds: in the same second it may have come before the write.
  return !isRestartedSince(workload, restart) && !(createdAt > restart.writtenAtWall)
}

/** The merge patch of `kubectl rollout restart`, for this version of a workload. */
export function restartPatch({ metadata, spec }: Workload, restart: Restart, nowWall: number): object {
  const { resourceVersion, uid } = metadata
  // Later than the write by either clock, so that the restart is known to have come after it.
  const restartedAt = formatTime(Math.max(nowWall, restart.writtenAtWall + 1000))
  const { marks } = restart
  const template = spec?.template?.metadata?.annotations
  return {
    metadata: { uid, resourceVersion, annotations: { ...staleMarks(metadata.annotations), ...marks } },
    spec: {
      template: {
        metadata: { annotations: { [restartedAtAnnotation]: restartedAt, ...staleMarks(template), ...marks } },
      },
    },
  }
}

/**
 * Nulls for the marks of all tokens, once there are more than 32: those of credentials that were deleted would add up. A
 * mark that is missed can only cost a restart after a crash.
 */
function staleMarks(annotations: Annotations = {}): Readonly<Record<string, null>> {
  const names = Object.keys(annotations).filter((name) => name.startsWith(restartedForAnnotation('')))
  return names.length > maxMarks ? Object.fromEntries(names.map((name) => [name, null])) : {}
}

/**
 * How far a restart got, by the workload's own fields:
 * `complete`: every pod is of the present template; `underWay`: not yet; `unobserved`: the workload's controller has not
 * seen the template; `stalled`: it gave up (progressDeadlineSeconds); `reset`: another controller took the restart off the
 * template; `isPaused`, `onDelete`, `partitioned`: by its own spec the workload does not replace (all) its pods.
 */
export type Rollout =
  'complete' | 'underWay' | 'unobserved' | 'stalled' | 'reset' | 'isPaused' | 'onDelete' | 'partitioned'

export function rolloutOf(workload: Workload, restart: Restart): Rollout {
  const { metadata, spec = {}, status = {} } = workload
  if (isReset(workload, restart)) return 'reset'
  const isObserved = (status.observedGeneration ?? 0) >= (metadata.generation ?? 0)
  if (isObserved && hasReplacedAll(workload)) return 'complete'
  const held = heldBack(spec)
  if (held !== undefined) return held
  if (!isObserved) return 'unobserved'
  const hasStalled = status.conditions?.some(({ reason }) => reason === 'ProgressDeadlineExceeded') ?? false
  return hasStalled ? 'stalled' : 'underWay'
}

/** Why the workload does not replace (all) its pods by its own spec. */
function heldBack({ paused, updateStrategy }: NonNullable<Workload['spec']>): Rollout | undefined {
  if (paused === true) return 'isPaused'
  if (updateStrategy?.type === 'OnDelete') return 'onDelete'
  return (updateStrategy?.rollingUpdate?.partition ?? 0) > 0 ? 'partitioned' : undefined
}

/** Whether a restart for any of these tokens was asked for, by the marks on the workload or its template. */
export function isRestartedFor({ metadata, spec }: Workload, { marks }: Restart): boolean {
  const template = spec?.template?.metadata?.annotations
  return Object.entries(marks).some(
    ([name, value]) => template?.[name] === value || metadata.annotations?.[name] === value,
  )
}

/** The marks are on the workload, and its template has lost them. */
function isReset(workload: Workload, restart: Restart): boolean {
  const { metadata, spec } = workload
  const template = spec?.template?.metadata?.annotations
  const isLost = ([name, value]: [string, string]): boolean =>
    metadata.annotations?.[name] === value && template?.[name] !== value
  return Object.entries(restart.marks).some(isLost) && !isRestartedSince(workload, restart)
}

function isRestartedSince({ spec }: Workload, { writtenAtWall }: Restart): boolean {
  return Date.parse(spec?.template?.metadata?.annotations?.[restartedAtAnnotation] ?? '') > writtenAtWall
}

function hasReplacedAll({ spec = {}, status = {} }: Workload): boolean {
  const isDaemonSet = status.desiredNumberScheduled !== undefined
  const desired = status.desiredNumberScheduled ?? spec.replicas ?? 1
  const present = (isDaemonSet ? status.currentNumberScheduled : status.replicas) ?? 0
  const updated = (isDaemonSet ? status.updatedNumberScheduled : status.updatedReplicas) ?? 0
  // Without pods, OnDelete still means that no restart ever replaces any.
  if (updated === 0 && spec.updateStrategy?.type === 'OnDelete') return false
  return updated >= desired && present <= updated
}
