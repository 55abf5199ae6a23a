import { Store } from '../kubernetes/store.ts'
import type { ObjectKey } from '../kubernetes/types.ts'
import { type ObjectMetadata, type SourceRef, sourceRefs } from './observed.ts'
import type { StoredCredential } from './parse-object.ts'

/** The API server's objects, as the watches and our own writes brought them. */
export interface Caches {
  readonly credentials: Store<StoredCredential>
  readonly secrets: Store<ObjectMetadata>
  /** Watched only once a resource names a ConfigMap. */
  readonly configMaps: Store<ObjectMetadata>
}

export function createCaches(): Caches {
  return { credentials: new Store(indexOf), secrets: new Store(), configMaps: new Store() }
}

/** Index value: the credentials that read or write this object. */
export const byObject = (objectKind: SourceRef['kind'], key: ObjectKey): string => `${objectKind}/${key}`
export const byUid = (uid: string): string => `uid/${uid}`
/** Index value: the credentials whose targets hold this token. */
export const byToken = (gatewayUrl: string, fingerprint: string): string => `token/${gatewayUrl} ${fingerprint}`

function indexOf({ namespace, spec, status, uid }: StoredCredential): string[] {
  const values = new Set([byUid(uid)])
  const { gateway, targets, tokenFingerprint } = status
  if (gateway !== undefined && tokenFingerprint !== undefined) values.add(byToken(gateway, tokenFingerprint))
  const written = targets.map(({ name }): Pick<SourceRef, 'kind' | 'name'> => ({ kind: 'Secret', name }))
  const wanted = spec?.targets.map(({ name }) => ({ kind: 'Secret' as const, name })) ?? []
  const sources = spec === undefined ? [] : sourceRefs(spec)
  for (const { kind, name } of [...written, ...wanted, ...sources]) values.add(byObject(kind, `${namespace}/${name}`))
  return [...values]
}
