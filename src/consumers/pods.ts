import { annotations } from '../api/v1alpha1/names.ts'
import { isConflict, isNotFound } from '../kubernetes/errors.ts'
import { type KubernetesClient, type KubernetesObject, pods } from '../kubernetes/types.ts'

interface SecretSource {
  readonly name?: string
}

interface Container {
  readonly restartPolicy?: string
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

/** Names of the Secrets that a pod uses: `live` files change under it, `fixed` (environment, subPath) never do. */
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
  // Init containers have run, but for sidecars, which stay.
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

/** `Deployment`'s pods carry its ReplicaSet's name; good enough to find them by. */
export function podOwner({ metadata }: Pod): { readonly kind: string; readonly name: string } | undefined {
  const controller = metadata.ownerReferences?.find((owner) => owner.controller === true)
  if (controller === undefined) return undefined
  const hash = metadata.labels?.['pod-template-hash']
  return controller.kind === 'ReplicaSet' && hash !== undefined && controller.name.endsWith(`-${hash}`)
    ? { kind: 'Deployment', name: controller.name.slice(0, -hash.length - 1) }
    : { kind: controller.kind, name: controller.name }
}

/** A page of the running pods of a namespace after another. */
export async function* runningPods(
  client: Pick<KubernetesClient, 'list'>,
  namespace: string,
  signal: AbortSignal,
): AsyncGenerator<Pod> {
  let next: string | undefined
  do {
    const page = await client.list<Pod>(pods, namespace, {
      limit: 500,
      fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed',
      signal,
      ...(next === undefined ? {} : { continue: next }),
    })
    yield* page.items
    next = page.metadata.continue === '' ? undefined : page.metadata.continue
  } while (next !== undefined)
}

/** What is remembered of a pod that is to be told. */
export interface PodVersion {
  readonly namespace: string
  readonly name: string
  readonly uid: string | undefined
  readonly resourceVersion: string | undefined
  /** Fingerprint of the token that it was told of last. */
  readonly told: string | undefined
}

export function versionOf({ metadata }: Pod): PodVersion {
  const { name = '', namespace = '', resourceVersion, uid } = metadata
  return { namespace, name, uid, resourceVersion, told: metadata.annotations?.[annotations.tokenFingerprint] }
}

/** A pod's status changes often while it starts; more conflicts than these in a row are left to the queue's backoff. */
const triesAtConflict = 5

/**
 * Tells a pod of a token, by an annotation: its kubelet then syncs it at once. The patch is for the version that was
 * looked at; one that was told of another token meanwhile, or is another pod by now, has seen what is on the targets.
 *
 * @returns false where there was nobody to tell
 */
export async function tellPod(
  client: Pick<KubernetesClient, 'list' | 'patch'>,
  { name, namespace, resourceVersion: looked, told, uid }: PodVersion,
  fingerprint: string,
  signal: AbortSignal,
): Promise<boolean> {
  let resourceVersion = looked
  for (let tries = 1; ; tries++) {
    const body = { metadata: { uid, resourceVersion, annotations: { [annotations.tokenFingerprint]: fingerprint } } }
    try {
      await client.patch(pods, { namespace, name }, { type: 'merge', body }, { signal })
      return true
    } catch (error) {
      if (isNotFound(error)) return false
      if (!isConflict(error) || tries === triesAtConflict) throw error
    }
    // The permission is to list, and not to get.
    const { items } = await client.list<Pod>(pods, namespace, { fieldSelector: `metadata.name=${name}`, signal })
    const [present] = items
    if (present === undefined || present.metadata.deletionTimestamp !== undefined) return false
    const version = versionOf(present)
    if (version.uid !== uid || version.told !== told) return false
    resourceVersion = version.resourceVersion
  }
}
