import type { WriteReason } from '../api/v1alpha1/action-reasons.ts'
import { ApiError, isAlreadyExists, isConflict, isNotFound } from '../kubernetes/errors.ts'
import { type KubernetesClient, type ObjectRef, type Patch, secrets } from '../kubernetes/types.ts'
import type { Sensitive } from '../lib/sensitive.ts'
import type { Correction } from './compare-secret.ts'
import type { DesiredSecret } from './desired-secret.ts'
import { applyBody, releaseBody } from './merged-keys.ts'
import type { Secret } from './secret.ts'
import { createBody, disownBody, metadataBody, type MetadataChange, patchBody } from './secret-bodies.ts'

export type WriteOperation = 'create' | 'update' | 'delete'

/** Why a write is made, and what ends it early. */
export interface WriteContext {
  readonly reason: WriteReason
  readonly signal: AbortSignal
}

/** What became of a write. */
export type WriteResult =
  | { readonly kind: 'written'; readonly secret: Secret }
  | { readonly kind: 'deleted' }
  /** The Secret has changed, is gone, or exists already: observe again. */
  | { readonly kind: 'stale' }
  | { readonly kind: 'failed'; readonly error: ApiError }

/** The version of a Secret that was observed. */
export interface Precondition {
  readonly uid: string
  readonly resourceVersion: string
}

export interface TargetWriterOptions {
  readonly client: Pick<KubernetesClient, 'get' | 'create' | 'patch' | 'delete'>
  /** Field manager of writes to Secrets that credentials own. */
  readonly fieldManager: string
  readonly onWrite: (operation: WriteOperation, reason: WriteReason, result: 'success' | 'error') => void
}

/**
 * Writes Secrets. Each write applies to the version that was observed: a POST never takes over, patches carry uid and
 * resourceVersion, deletes have both as preconditions.
 *
 * A server-side apply without a uid would create a Secret again that another client has deleted.
 */
export class TargetWriter {
  readonly #options: TargetWriterOptions

  constructor(options: TargetWriterOptions) {
    this.#options = options
  }

  /** @returns undefined when it does not exist */
  async get(ref: ObjectRef, signal: AbortSignal): Promise<Secret | undefined> {
    try {
      return await this.#options.client.get<Secret>(secrets, ref, { signal })
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  async create(desired: DesiredSecret, context: WriteContext): Promise<WriteResult> {
    const { signal } = context
    return await this.#write('create', context, async () => {
      return await this.#options.client.create<Secret>(secrets, desired.namespace, createBody(desired), { signal })
    })
  }

  async patch(
    desired: DesiredSecret,
    correction: Correction,
    precondition: Precondition,
    context: WriteContext,
  ): Promise<WriteResult> {
    return await this.#patch(desired, { type: 'merge', body: patchBody(desired, correction, precondition) }, context)
  }

  /** For a change that no patch can make: of the type, or of an immutable Secret. */
  async recreate(desired: DesiredSecret, precondition: Precondition, context: WriteContext): Promise<WriteResult> {
    const { name, namespace } = desired
    const deleted = await this.delete({ namespace, name, ...precondition }, context)
    return deleted.kind === 'deleted' ? await this.create(desired, context) : deleted
  }

  async delete(target: ObjectRef & Precondition, context: WriteContext): Promise<WriteResult> {
    const { name, namespace, resourceVersion, uid } = target
    const { signal } = context
    return await this.#write('delete', context, async () => {
      const preconditions = { uid, resourceVersion }
      await this.#options.client.delete(secrets, { namespace, name }, { signal, preconditions })
      return undefined
    })
  }

  async applyKeys(
    target: ObjectRef & Precondition,
    data: Readonly<Record<string, Sensitive>>,
    manager: { readonly name: string; readonly isForced: boolean },
    context: WriteContext,
  ): Promise<WriteResult> {
    const body = applyBody(target, data, target)
    const patch = { type: 'apply', body, fieldManager: manager.name, force: manager.isForced } as const
    return await this.#patch(target, patch, context)
  }

  async releaseKeys(
    target: ObjectRef & Precondition,
    keys: readonly string[],
    context: WriteContext,
  ): Promise<WriteResult> {
    return await this.#patch(target, { type: 'merge', body: releaseBody(keys, target) }, context)
  }

  async patchMetadata(
    target: ObjectRef & Precondition,
    change: MetadataChange,
    context: WriteContext,
  ): Promise<WriteResult> {
    return await this.#patch(target, { type: 'merge', body: metadataBody(change, target) }, context)
  }

  async disown(
    secret: Secret,
    credentialUid: string,
    keptKeys: readonly string[],
    context: WriteContext,
  ): Promise<WriteResult> {
    const { name = '', namespace = '' } = secret.metadata
    const body = disownBody(secret, { credentialUid, fieldManager: this.#options.fieldManager, keptKeys })
    return await this.#patch({ namespace, name }, { type: 'merge', body }, context)
  }

  async #patch({ namespace, name }: ObjectRef, patch: Patch, context: WriteContext): Promise<WriteResult> {
    const { signal } = context
    return await this.#write('update', context, async () => {
      return await this.#options.client.patch<Secret>(secrets, { namespace, name }, patch, { signal })
    })
  }

  async #write(
    operation: WriteOperation,
    { reason }: WriteContext,
    write: () => Promise<Secret | undefined>,
  ): Promise<WriteResult> {
    const { onWrite } = this.#options
    try {
      const secret = await write()
      onWrite(operation, reason, 'success')
      return secret === undefined ? { kind: 'deleted' } : { kind: 'written', secret }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      // A write that came too late is no error: the Secret as it is now decides.
      const isStale = isConflict(error) || isAlreadyExists(error) || (isNotFound(error) && operation !== 'create')
      if (isStale) return { kind: 'stale' }
      onWrite(operation, reason, 'error')
      return { kind: 'failed', error }
    }
  }
}
