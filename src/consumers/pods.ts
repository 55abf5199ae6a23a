import { annotations } from '../api/v1alpha1/names.ts'
import type { KubernetesObject } from '../kubernetes/types.ts'

interface SecretSource {
  readonly name?: string
  readonly optional?: boolean
}

interface Container {
  readonly name?: string
  readonly restartPolicy?: string
  readonly env?: readonly { readonly valueFrom?: { readonly secretKeyRef?: SecretSource } }[]
  readonly envFrom?: readonly { readonly secretRef?: SecretSource }[]
  readonly volumeMounts?: readonly { readonly name: string; readonly subPath?: string; readonly subPathExpr?: string }[]
}

/** The fields of a pod's spec, or of a pod template's, that say how it uses Secrets. */
export interface PodSpec {
  readonly volumes?: readonly {
    readonly name: string
    readonly secret?: { readonly secretName?: string; readonly optional?: boolean }
    readonly projected?: { readonly sources?: readonly { readonly secret?: SecretSource }[] }
  }[]
  readonly containers?: readonly Container[]
  readonly initContainers?: readonly Container[]
}

interface ContainerStatus {
  readonly name: string
  readonly state?: {
    readonly running?: { readonly startedAt?: string }
    readonly terminated?: { readonly startedAt?: string }
  }
}

export interface Pod extends KubernetesObject {
  readonly spec?: PodSpec
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[]
    readonly containerStatuses?: readonly ContainerStatus[]
    readonly initContainerStatuses?: readonly ContainerStatus[]
  }
}

/** One use of a Secret by a container. */
export interface SecretUse {
  readonly secret: string
  /**
   * `live`: files that the kubelet updates, also when an optional Secret is created later. `fixed`: environment or subPath,
   * read as the container starts. `init`: any use by an init container, which has ended and may have copied the value.
   */
  readonly kind: 'live' | 'fixed' | 'init'
  /** The container starts without the Secret as well. */
  readonly isOptional: boolean
  readonly container: string
}

/**
 * How the containers of a pod use Secrets.
 * @see https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod (mounted Secrets are
 * updated; environment variables and subPath mounts are not)
 * @see https://kubernetes.io/docs/tasks/configure-pod-container/configure-pod-configmap/#mounted-configmaps-are-updated-automatically
 * (so is a mount whose optional object is created after the pod has started; Secrets work the same way)
 */
export function secretUses({ containers = [], initContainers = [], volumes = [] }: PodSpec): SecretUse[] {
  const sources = secretsOfVolumes(volumes)
  const uses: SecretUse[] = []
  const add = (kind: SecretUse['kind'], container: Container, source: SecretSource | undefined): void => {
    if (source?.name === undefined) return
    // An init container with restartPolicy Always is a sidecar: it goes on running.
    const hasEnded = initContainers.includes(container) && container.restartPolicy !== 'Always'
    const { name: secret, optional: isOptional = false } = source
    uses.push({ secret, kind: hasEnded ? 'init' : kind, isOptional, container: container.name ?? '' })
  }
  for (const container of [...initContainers, ...containers]) {
    for (const { valueFrom } of container.env ?? []) add('fixed', container, valueFrom?.secretKeyRef)
    for (const { secretRef } of container.envFrom ?? []) add('fixed', container, secretRef)
    for (const mount of container.volumeMounts ?? []) {
      for (const source of sources.get(mount.name) ?? []) add(mountKind(mount), container, source)
    }
  }
  return uses
}

/** The kubelet never updates a file that is mounted by subPath. */
function mountKind({
  subPath = '',
  subPathExpr = '',
}: NonNullable<Container['volumeMounts']>[number]): SecretUse['kind'] {
  return subPath !== '' || subPathExpr !== '' ? 'fixed' : 'live'
}

/** The Secrets of each volume, by its name. */
function secretsOfVolumes(volumes: NonNullable<PodSpec['volumes']>): ReadonlyMap<string, readonly SecretSource[]> {
  const sources = new Map<string, SecretSource[]>()
  for (const { name, projected, secret } of volumes) {
    const own = secret?.secretName === undefined ? [] : [{ ...secret, name: secret.secretName }]
    sources.set(name, [...own, ...(projected?.sources ?? []).flatMap((source) => source.secret ?? [])])
  }
  return sources
}

/**
 * Whether a container may have started before a token was written, so that its environment holds an older token or none.
 * A container that waits reads the present token when it starts.
 *
 * @param writtenAtWall by the API server's clock, ms
 */
export function mayPrecede({ status = {} }: Pod, container: string, writtenAtWall: number): boolean {
  const { conditions = [], containerStatuses = [], initContainerStatuses = [] } = status
  const statuses = [...containerStatuses, ...initContainerStatuses]
  if (statuses.length === 0) return !conditions.some((one) => one.type === 'PodScheduled' && one.status === 'False')
  const { running, terminated } = statuses.find(({ name }) => name === container)?.state ?? {}
  // In whole seconds: the same second may be before the write.
  return Date.parse((running ?? terminated)?.startedAt ?? '') <= writtenAtWall
}

const kindPattern = /^[A-Za-z]{1,63}$/
const namePattern = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/

/** The workload that controls a pod. A Deployment is known by the name of its ReplicaSet, which ends in the template's hash. */
export function podOwner({ metadata }: Pod): { readonly kind: string; readonly name: string } | undefined {
  const controller = metadata.ownerReferences?.find((owner) => owner.controller === true)
  // The API server takes any text in an owner reference; this one goes into messages.
  if (controller === undefined || !kindPattern.test(controller.kind) || !namePattern.test(controller.name)) {
    return undefined
  }
  const hash = metadata.labels?.['pod-template-hash']
  return controller.kind === 'ReplicaSet' && hash !== undefined && controller.name.endsWith(`-${hash}`)
    ? { kind: 'Deployment', name: controller.name.slice(0, -hash.length - 1) }
    : { kind: controller.kind, name: controller.name }
}

/** One version of a pod, for a patch with preconditions. */
export interface PodVersion {
  readonly namespace: string
  readonly name: string
  readonly uid: string | undefined
  readonly resourceVersion: string | undefined
  /** Fingerprint of the token that was last propagated to this pod. */
  readonly fingerprint: string | undefined
}

export function podVersionOf({ metadata }: Pod): PodVersion {
  const { name = '', namespace = '', resourceVersion, uid } = metadata
  return { namespace, name, uid, resourceVersion, fingerprint: metadata.annotations?.[annotations.tokenFingerprint] }
}
