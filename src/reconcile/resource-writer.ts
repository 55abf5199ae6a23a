import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import { isConflict, isNotFound } from '../kubernetes/errors.ts'
import { credentials, type KubernetesClient, type ObjectRef } from '../kubernetes/types.ts'
import { type Caches, isSelected } from '../observe/caches.ts'
import { parseCredential, type StoredCredential } from '../observe/parse-object.ts'
import { statusPatch } from '../status/next-status.ts'

export interface ResourceWriterOptions {
  readonly client: Pick<KubernetesClient, 'get' | 'patch'>
  readonly caches: Pick<Caches, 'credentials' | 'selector'>
}

/** Writes finalizers and status of an EnosAppCredential: each patch applies to the version that was observed, or not at all. */
export class ResourceWriter {
  readonly #options: ResourceWriterOptions

  constructor(options: ResourceWriterOptions) {
    this.#options = options
  }

  /** @returns the resource after the write; undefined when it has changed or is gone */
  async setFinalizers(
    credential: StoredCredential,
    finalizers: readonly string[],
    signal: AbortSignal,
  ): Promise<StoredCredential | undefined> {
    return await this.#patch(credential, { metadata: { finalizers } }, signal)
  }

  /** @returns the resource after the write; undefined when it has changed or is gone */
  async patchStatus(
    credential: StoredCredential,
    status: CredentialStatus,
    signal: AbortSignal,
  ): Promise<StoredCredential | undefined> {
    return await this.#patch(credential, { status: statusPatch(credential.status, status) }, signal)
  }

  async #patch(
    { namespace, name, uid, resourceVersion }: StoredCredential,
    { metadata = {}, status }: { readonly metadata?: object; readonly status?: object },
    signal: AbortSignal,
  ): Promise<StoredCredential | undefined> {
    const { client, caches } = this.#options
    const store = caches.credentials
    const ref = { namespace, name }
    const body = { metadata: { ...metadata, uid, resourceVersion }, ...(status === undefined ? {} : { status }) }
    try {
      const options = { signal, ...(status === undefined ? {} : { subresource: 'status' as const }) }
      const written = parseCredential(await client.patch(credentials, ref, { type: 'merge', body }, options))
      // The watch may have brought the end of the resource, or of its selection, before this answer.
      if (store.get(written.key) === undefined) return undefined
      store.upsert(written)
      const stored = store.get(written.key)
      // The watch may have brought this very version before the answer: it is kept once.
      return stored?.resourceVersion === written.resourceVersion ? stored : written
    } catch (error) {
      if (isNotFound(error)) store.remove({ ...ref, uid })
      else if (isConflict(error)) await this.#fetch(ref, signal)
      else throw error
      return undefined
    }
  }

  /** The watch may bring the other writer's version much later. That writer may have ended the selection, too. */
  async #fetch(ref: ObjectRef, signal: AbortSignal): Promise<void> {
    const { client, caches } = this.#options
    const store = caches.credentials
    try {
      const present = await client.get(credentials, ref, { signal })
      if (isSelected(caches, present)) store.upsert(parseCredential(present))
      else store.remove(ref)
    } catch (error) {
      if (!isNotFound(error)) throw error
      store.remove(ref)
    }
  }
}
