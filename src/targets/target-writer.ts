import { ApiError, isAlreadyExists, isConflict, isNotFound } from '../kubernetes/errors.ts'
import { type KubernetesClient, type ObjectRef, type Patch, secrets } from '../kubernetes/types.ts'
import type { Correction } from './compare-secret.ts'
import type { DesiredSecret } from './desired-secret.ts'
import { createBody, disownBody, patchBody } from './secret-bodies.ts'
import type { Secret } from './secret.ts'
import { applyBody, releaseBody } from './merged-keys.ts'
import type { Sensitive } from '../lib/sensitive.ts'

export type WriteOperation = 'create' | 'update' | 'delete'

/** What became of a write. */
export type WriteResult =
  | { readonly kind: 'written'; readonly secret: Secret }
  | { readonly kind: 'deleted' }
  /** The Secret is not what it was taken for (gone, changed, or there already): look again. */
  | { readonly kind: 'stale' }
  | { readonly kind: 'failed'; readonly error: ApiError }

/** The very Secret that was looked at. */
export interface Precondition {
  readonly uid: string
  readonly resourceVersion: string
}

export interface TargetWriterOptions {
  readonly client: Pick<KubernetesClient, 'get' | 'create' | 'patch' | 'delete'>
  /** The name under which Secrets of our own are written. */
  readonly fieldManager: string
  readonly onWrite: (operation: WriteOperation, result: 'success' | 'error') => void
}

/**
 * Writes Secrets, each write bound to the very object that was looked at: by POST, which never takes over, by patches
 * with uid and resourceVersion, by deletes with both as preconditions.
 *
 * A server-side apply without a uid would make the Secret anew after somebody deleted it.
 */
export class TargetWriter {
  readonly #options: TargetWriterOptions

  constructor(options: TargetWriterOptions) {
    this.#options = options
  }

  /** @returns undefined where there is none */
  async read(ref: ObjectRef, signal: AbortSignal): Promise<Secret | undefined> {
    try {
      return await this.#options.client.get<Secret>(secrets, ref, { signal })
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  async create(desired: DesiredSecret, signal: AbortSignal): Promise<WriteResult> {
    return await this.#write('create', async () => {
      return await this.#options.client.create<Secret>(secrets, desired.namespace, createBody(desired), { signal })
    })
  }

  async patch(
    desired: DesiredSecret,
    correction: Correction,
    precondition: Precondition,
    signal: AbortSignal,
  ): Promise<WriteResult> {
    return await this.#patch(desired, { type: 'merge', body: patchBody(desired, correction, precondition) }, signal)
  }

  /** For what no patch can change: the type, and Secrets that were made immutable. */
  async recreate(desired: DesiredSecret, precondition: Precondition, signal: AbortSignal): Promise<WriteResult> {
    const deleted = await this.delete(desired, precondition, signal)
    return deleted.kind === 'deleted' ? await this.create(desired, signal) : deleted
  }

  async delete(ref: ObjectRef, { uid, resourceVersion }: Precondition, signal: AbortSignal): Promise<WriteResult> {
    return await this.#write('delete', async () => {
      const { namespace, name } = ref
      await this.#options.client.delete(
        secrets,
        { namespace, name },
        { signal, preconditions: { uid, resourceVersion } },
      )
      return undefined
    })
  }

  async applyKeys(
    ref: ObjectRef,
    data: Readonly<Record<string, Sensitive>>,
    manager: { readonly name: string; readonly isForced: boolean },
    precondition: Precondition,
    signal: AbortSignal,
  ): Promise<WriteResult> {
    const body = applyBody(ref, data, precondition)
    return await this.#patch(ref, { type: 'apply', body, fieldManager: manager.name, force: manager.isForced }, signal)
  }

  async releaseKeys(
    ref: ObjectRef,
    keys: readonly string[],
    precondition: Precondition,
    signal: AbortSignal,
  ): Promise<WriteResult> {
    return await this.#patch(ref, { type: 'merge', body: releaseBody(keys, precondition) }, signal)
  }

  async disown(
    secret: Secret,
    credentialUid: string,
    keptKeys: readonly string[],
    signal: AbortSignal,
  ): Promise<WriteResult> {
    const { name = '', namespace = '', resourceVersion = '', uid = '' } = secret.metadata
    const body = disownBody(secret, credentialUid, this.#options.fieldManager, keptKeys, { uid, resourceVersion })
    return await this.#patch({ namespace, name }, { type: 'merge', body }, signal)
  }

  async #patch({ namespace, name }: ObjectRef, patch: Patch, signal: AbortSignal): Promise<WriteResult> {
    return await this.#write('update', async () => {
      return await this.#options.client.patch<Secret>(secrets, { namespace, name }, patch, { signal })
    })
  }

  async #write(operation: WriteOperation, write: () => Promise<Secret | undefined>): Promise<WriteResult> {
    const { onWrite } = this.#options
    try {
      const secret = await write()
      onWrite(operation, 'success')
      return secret === undefined ? { kind: 'deleted' } : { kind: 'written', secret }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      // A write that came too late for what it was meant for is no error; what is there now decides.
      const isStale = isConflict(error) || isAlreadyExists(error) || (isNotFound(error) && operation !== 'create')
      if (isStale) return { kind: 'stale' }
      onWrite(operation, 'error')
      return { kind: 'failed', error }
    }
  }
}
