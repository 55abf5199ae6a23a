import { annotations } from '../api/v1alpha1/names.ts'
import type { KubernetesObject } from '../kubernetes/types.ts'

interface SecretSource {
  readonly name?: string
}

interface Container {
  readonly restartPolicy?: string
  readonly env?: readonly { readonly valueFrom?: { readonly secretKeyRef?: SecretSource } }[]
  readonly envFrom?: readonly { readonly secretRef?: SecretSource }[]
  readonly volumeMounts?: readonly { readonly name: string; readonly subPath?: string; readonly subPathExpr?: string }[]
}

/** The fields of a Pod that say how it uses Secrets. */
export interface Pod extends KubernetesObject {
  readonly spec?: {
    readonly volumes?: readonly {
      readonly name: string
      readonly secret?: { readonly secretName?: string }
      readonly projected?: { readonly sources?: readonly { readonly secret?: SecretSource }[] }
    }[]
    readonly containers?: readonly Container[]
    readonly initContainers?: readonly Container[]
  }
}

/** Names of the Secrets that a pod uses: the kubelet updates `live` files in place, never `fixed` (environment, subPath). */
export interface SecretUse {
  readonly live: ReadonlySet<string>
  readonly fixed: ReadonlySet<string>
}

/**
 * Which Secrets a running pod uses, and how.
 * @see https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod (mounted Secrets are
 * updated; environment variables and subPath mounts are not)
 */
export function secretUse({ metadata, spec }: Pod): SecretUse {
  const live = new Set<string>()
  const fixed = new Set<string>()
  if (metadata.deletionTimestamp !== undefined) return { live, fixed }
  const volumes = new Map(
    (spec?.volumes ?? []).map(({ name, projected, secret }) => {
      const projections = (projected?.sources ?? []).map((source) => source.secret?.name)
      return [name, [secret?.secretName, ...projections]]
    }),
  )
  const add = (names: Set<string>, name: string | undefined): void => {
    if (name !== undefined) names.add(name)
  }
  // Init containers have ended, except sidecars.
  const sidecars = (spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always')
  for (const { env = [], envFrom = [], volumeMounts = [] } of [...(spec?.containers ?? []), ...sidecars]) {
    for (const { valueFrom } of env) add(fixed, valueFrom?.secretKeyRef?.name)
    for (const { secretRef } of envFrom) add(fixed, secretRef?.name)
    for (const { name, subPath = '', subPathExpr = '' } of volumeMounts) {
      const isSubPath = subPath !== '' || subPathExpr !== ''
      for (const secret of volumes.get(name) ?? []) add(isSubPath ? fixed : live, secret)
    }
  }
  return { live, fixed }
}

/** The workload that controls a pod. A Deployment is known by the name of its ReplicaSet, which ends in the template's hash. */
export function podOwner({ metadata }: Pod): { readonly kind: string; readonly name: string } | undefined {
  const controller = metadata.ownerReferences?.find((owner) => owner.controller === true)
  if (controller === undefined) return undefined
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
