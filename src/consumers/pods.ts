import type { KubernetesObject } from '../kubernetes/types.ts'

interface SecretSource {
  readonly name?: string
}

interface Container {
  readonly env?: readonly { readonly valueFrom?: { readonly secretKeyRef?: SecretSource } }[]
  readonly envFrom?: readonly { readonly secretRef?: SecretSource }[]
  readonly volumeMounts?: readonly { readonly name: string; readonly subPath?: string; readonly subPathExpr?: string }[]
}

/** The parts of a Pod that tell how it uses Secrets. */
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

/** How a pod uses some Secrets: `live` files change under it, `fixed` (environment, subPath) never do. */
export interface SecretUse {
  readonly isLive: boolean
  readonly isFixed: boolean
}

/**
 * How a running pod uses Secrets.
 * @see https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod (mounted Secrets are
 * updated; environment variables and subPath mounts are not)
 */
export function secretUse({ metadata, spec }: Pod, secretNames: ReadonlySet<string>): SecretUse {
  if (metadata.deletionTimestamp !== undefined) return { isLive: false, isFixed: false }
  const isOneOf = (name: string | undefined): boolean => name !== undefined && secretNames.has(name)
  const volumes = new Set(
    (spec?.volumes ?? [])
      .filter(
        ({ projected, secret }) =>
          isOneOf(secret?.secretName) || projected?.sources?.some((source) => isOneOf(source.secret?.name)) === true,
      )
      .map(({ name }) => name),
  )
  // Init containers have run; those that stay (sidecars) mount as others do.
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]
  const mounts = containers.flatMap((container) => container.volumeMounts ?? []).filter(({ name }) => volumes.has(name))
  const isSubPath = ({ subPath, subPathExpr }: { subPath?: string; subPathExpr?: string }): boolean =>
    (subPath ?? '') !== '' || (subPathExpr ?? '') !== ''
  const isInEnvironment = (spec?.containers ?? []).some(
    ({ env = [], envFrom = [] }) =>
      env.some(({ valueFrom }) => isOneOf(valueFrom?.secretKeyRef?.name)) ||
      envFrom.some(({ secretRef }) => isOneOf(secretRef?.name)),
  )
  return { isLive: mounts.some((mount) => !isSubPath(mount)), isFixed: isInEnvironment || mounts.some(isSubPath) }
}

/** `Deployment`'s pods carry its ReplicaSet's name; good enough to find them by. */
export function podOwner({ metadata }: Pod): { readonly kind: string; readonly name: string } | undefined {
  const controller = metadata.ownerReferences?.find((owner) => owner.controller === true)
  if (controller === undefined) return undefined
  const hash = metadata.labels?.['pod-template-hash']
  return controller.kind === 'ReplicaSet' && hash !== undefined && controller.name.endsWith(`-${hash}`)
    ? { kind: 'Deployment', name: controller.name.slice(0, -hash.length - 1) }
    : { kind: controller.kind, name: controller.name }
}
