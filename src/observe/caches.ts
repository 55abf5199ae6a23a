import { type LabelSelector, matchesSelector } from '../config/label-selector.ts'
import { Store, type Stored } from '../kubernetes/store.ts'
import { keyOf, type KubernetesObject, type ObjectKey, type ObjectRef, refOf } from '../kubernetes/types.ts'
import { type ObjectMetadata, type SourceRef, sourceRefs } from './observed.ts'
import type { StoredCredential } from './parse-object.ts'

/** The API server's objects, as the watches and our own writes brought them. */
export interface Caches {
  /** The credentials to work on. */
  readonly credentials: Store<StoredCredential>
  /** Label selector of these credentials; undefined: all. */
  readonly selector: LabelSelector | undefined
  /** With a selector: all credentials of the watched namespaces, also those that other operators work on. */
  readonly everyCredential: Store<Stored> | undefined
  readonly secrets: Store<ObjectMetadata>
  /** Watched only once a resource names a ConfigMap. */
  readonly configMaps: Store<ObjectMetadata>
}

export function createCaches(selector?: LabelSelector): Caches {
  return {
    credentials: new Store(indexOf),
    selector,
    everyCredential: selector === undefined ? undefined : new Store(({ uid }) => [uid]),
    secrets: new Store(),
    configMaps: new Store(),
  }
}

/** Whether a credential is one to work on. */
export function isSelected({ selector }: Pick<Caches, 'selector'>, { metadata }: KubernetesObject): boolean {
  return selector === undefined || matchesSelector(selector, metadata.labels)
}

/** The credential with this uid; undefined when none exists in a watched namespace. */
export function findByUid({ credentials, everyCredential }: Caches, uid: string): ObjectRef | undefined {
  // Each of the two watches may be ahead of the other.
  for (const store of [credentials, everyCredential]) {
    for (const key of store?.byIndex(uid) ?? []) return refOf(key)
  }
  return undefined
}

/** The credentials whose targets hold this token of this gateway. */
export function holdersOf(
  { credentials }: Pick<Caches, 'credentials'>,
  gatewayUrl: string,
  fingerprint: string,
): ObjectKey[] {
  const holders = [...credentials.byIndex(fingerprint)]
  return holders.filter((key) => credentials.get(key)?.status.gateway === gatewayUrl)
}

/**
 * Index value: the credentials that read or write this object. Besides these, each credential has its uid and the
 * fingerprint of its token as values. They have no prefix, which would be one more string for each; no two kinds of values
 * are alike.
 */
export function byObject(objectKind: SourceRef['kind'], key: ObjectKey): string {
  return [objectKind, key].join('/')
}

/** Index value: the credentials of a namespace that report a conflict over a target. */
export function byConflict(namespace: string): string {
  return `conflict/${namespace}`
}

function indexOf({ namespace, spec, status, uid }: StoredCredential): string[] {
  const values = new Set([uid])
  const { gateway, targets, tokenFingerprint } = status
  if (gateway !== undefined && tokenFingerprint !== undefined) values.add(tokenFingerprint)
  if (status.conditions.some(({ reason }) => reason === 'TargetConflict')) values.add(byConflict(namespace))
  const written = targets.map(({ name }): Pick<SourceRef, 'kind' | 'name'> => ({ kind: 'Secret', name }))
  const wanted = spec?.targets.map(({ name }) => ({ kind: 'Secret' as const, name })) ?? []
  const sources = spec === undefined ? [] : sourceRefs(spec)
  for (const { kind, name } of [...written, ...wanted, ...sources]) {
    values.add(byObject(kind, keyOf({ namespace, name })))
  }
  return [...values]
}
