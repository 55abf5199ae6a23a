import type { Applications } from '../tokens/applications.ts'
import { isConflict, isForbidden, isNotFound } from '../kubernetes/errors.ts'
import { configMaps, credentials, type KubernetesClient, secrets } from '../kubernetes/types.ts'
import type { Clock } from '../lib/clock.ts'
import type { Problem } from '../api/v1alpha1/problem.ts'
import { type Credential, type PropagationRequest, type SourceRef, sourceRefs } from '../observe/observed.ts'
import { type EventInput, eventsBetween } from '../status/events.ts'
import { isSameStatus, statusPatch } from '../status/next-status.ts'
import type { Action } from '../plan/actions.ts'
import type { Caches } from '../observe/caches.ts'
import type { Pass } from '../observe/pass.ts'
import { parseSources, type SourceObject } from '../observe/parse-sources.ts'
import { parseCredential, parseMetadata, type StoredCredential } from '../observe/parse-object.ts'
import type { TargetExecutor } from './target-executor.ts'

/** Propagates the token on a credential's targets to their running consumers. */
export interface Propagator {
  propagate(request: PropagationRequest): void
}

export interface ExecutorOptions {
  readonly client: Pick<KubernetesClient, 'get' | 'patch'>
  readonly caches: Caches
  readonly targets: TargetExecutor
  readonly applications: Pick<Applications, 'join' | 'leave'>
  readonly propagator: Propagator
  readonly clock: Clock
  readonly emitEvent: (credential: StoredCredential, event: EventInput) => void
}

/** Does what was planned, and notes what came of it. Decides nothing. */
export class Executor {
  readonly #options: ExecutorOptions

  constructor(options: ExecutorOptions) {
    this.#options = options
  }

  /** Side by side. */
  async executeAll(actions: readonly Action[], pass: Pass, signal: AbortSignal): Promise<void> {
    const results = await Promise.allSettled(actions.map((action) => this.#execute(action, pass, signal)))
    // All are waited for, so that nothing is under way when the next look is taken.
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  async #execute(action: Action, pass: Pass, signal: AbortSignal): Promise<void> {
    const { applications, propagator, targets } = this.#options
    const { credential, state } = pass
    switch (action.do) {
      case 'fetchSources':
        await this.#fetchSources(pass, signal)
        return
      case 'join':
        state.membership = action.membership
        applications.join(credential.key, action.membership, action.found)
        return
      case 'leave':
        state.membership = undefined
        applications.leave(credential.key)
        return
      case 'propagate':
        propagator.propagate({ credential, ...action })
        return
      case 'emitEvent':
        this.#options.emitEvent(credential, action.event)
        return
      case 'setFinalizers':
        await this.setFinalizers(credential, action.finalizers, signal)
        return
      case 'patchStatus': {
        const patch = statusPatch(credential.status, action.status)
        const answer = await this.#patch(credential, {}, patch, signal)
        if (answer === undefined) return
        state.statusWrittenAt = this.#options.clock.now()
        const pruned = { written: action.status, kept: answer.status }
        state.prunedStatus = isSameStatus(pruned.written, pruned.kept) ? undefined : pruned
        for (const event of eventsBetween(credential.status, action.status)) this.#options.emitEvent(credential, event)
        return
      }
      default:
        await targets.execute(action, pass, signal)
    }
  }

  async #fetchSources(pass: Pass, signal: AbortSignal): Promise<void> {
    const { credential, state } = pass
    const refs = sourceRefs(credential.spec)
    const read = await Promise.all(
      refs.map(async (ref) => ({ ref, object: await this.#fetchSource(credential.namespace, ref, signal) })),
    )
    const found = read.flatMap(({ object, ref }) => (object === undefined ? [] : [{ ref, object }]))
    // One that is gone: the caches know by now, and the next look says so.
    if (found.length < read.length) return
    const refused = found.find(({ object }) => object === 'forbidden')
    if (refused !== undefined) {
      // Not kept: the permission may be given at any time, and no watch tells of that.
      pass.sourceProblem = forbidden(refused.ref, credential)
      return
    }
    const objects = found.flatMap(({ object, ref }) => (object === 'forbidden' ? [] : [{ ref, object }]))
    const before = state.sources
    state.sources = parseSources(credential.spec, objects)
    const { trimmed } = state.sources
    if (trimmed.length > 0 && before?.trimmed.join() !== trimmed.join()) {
      const note = `${trimmed.join(' and ')}: trailing newlines were cut off`
      this.#options.emitEvent(credential, { type: 'Warning', reason: 'SourceTrimmed', action: 'ReadSources', note })
    }
  }

  /** @returns undefined for one that is gone */
  async #fetchSource(
    namespace: string,
    { kind, name }: SourceRef,
    signal: AbortSignal,
  ): Promise<SourceObject | 'forbidden' | undefined> {
    const { caches, client } = this.#options
    const store = storeOf(caches, kind)
    try {
      const type = kind === 'Secret' ? secrets : configMaps
      const object = await client.get<SourceObject>(type, { namespace, name }, { signal })
      store.upsert(parseMetadata(object))
      return object
    } catch (error) {
      if (isForbidden(error)) return 'forbidden'
      if (!isNotFound(error)) throw error
      store.remove({ namespace, name })
      return undefined
    }
  }

  /** Writes metadata or status of the resource itself. @returns it as it is by then; undefined: it had changed or was gone */
  async #patch(
    { namespace, name, uid, resourceVersion }: StoredCredential,
    metadata: object,
    status: object | undefined,
    signal: AbortSignal,
  ): Promise<StoredCredential | undefined> {
    const { caches, client } = this.#options
    const ref = { namespace, name }
    const body = { metadata: { ...metadata, uid, resourceVersion }, ...(status === undefined ? {} : { status }) }
    try {
      const options = { signal, ...(status === undefined ? {} : { subresource: 'status' as const }) }
      const written = parseCredential(await client.patch(credentials, ref, { type: 'merge', body }, options))
      caches.credentials.upsert(written)
      return written
    } catch (error) {
      if (isNotFound(error)) caches.credentials.remove({ ...ref, uid })
      else if (isConflict(error)) await this.#refresh(ref, signal)
      else throw error
      return undefined
    }
  }

  /** Reads a credential anew, for somebody wrote it meanwhile. */
  async #refresh(ref: { namespace: string; name: string }, signal: AbortSignal): Promise<void> {
    const { caches, client } = this.#options
    try {
      caches.credentials.upsert(parseCredential(await client.get(credentials, ref, { signal })))
    } catch (error) {
      if (!isNotFound(error)) throw error
      caches.credentials.remove(ref)
    }
  }

  async setFinalizers(credential: StoredCredential, finalizers: readonly string[], signal: AbortSignal): Promise<void> {
    await this.#patch(credential, { finalizers }, undefined, signal)
  }

  /** Writes a status that no plan made. */
  async report(credential: StoredCredential, status: StoredCredential['status'], signal: AbortSignal): Promise<void> {
    if ((await this.#patch(credential, {}, statusPatch(credential.status, status), signal)) === undefined) return
    for (const event of eventsBetween(credential.status, status)) this.#options.emitEvent(credential, event)
  }
}

function storeOf({ configMaps: ofConfigMaps, secrets: ofSecrets }: Caches, kind: SourceRef['kind']) {
  return kind === 'Secret' ? ofSecrets : ofConfigMaps
}

function forbidden({ fields, kind, name }: SourceRef, { namespace }: Credential): Problem {
  return {
    class: 'userMustAct',
    reason: 'SourceForbidden',
    message: `${fields.join(' and ')}: the operator may not read ${kind} ${name} in namespace ${namespace} (HTTP 403); check its RBAC`,
  }
}
