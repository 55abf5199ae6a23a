import { mergeFieldManager } from '../api/v1alpha1/names.ts'
import type { Problem } from '../api/v1alpha1/problem.ts'
import { describeDenial } from '../kubernetes/admission-denial.ts'
import { type ApiError, isForbidden } from '../kubernetes/errors.ts'
import type { Store } from '../kubernetes/store.ts'
import type { Clock } from '../lib/clock.ts'
import type { ObjectMetadata } from '../observe/observed.ts'
import { parseMetadata } from '../observe/parse-object.ts'
import type { Pass } from '../observe/pass.ts'
import type { TargetAction, TargetWrite } from '../plan/actions.ts'
import type { TargetWriter, WriteResult } from '../targets/target-writer.ts'

export interface TargetExecutorOptions {
  readonly writer: TargetWriter
  readonly secrets: Store<ObjectMetadata>
  readonly clock: Pick<Clock, 'wall'>
}

/** Executes planned actions on targets and notes the results. Decides nothing. */
export class TargetExecutor {
  readonly #options: TargetExecutorOptions

  constructor(options: TargetExecutorOptions) {
    this.#options = options
  }

  /** @returns what became of a write: written, deleted, stale or failed; undefined for other actions */
  async execute(action: TargetAction, pass: Pass, signal: AbortSignal): Promise<WriteResult['kind'] | undefined> {
    const { record } = pass.state
    switch (action.do) {
      case 'fetchTarget':
        await this.#fetch(action.name, pass, signal)
        return undefined
      case 'confirmTarget': {
        const { name, uid, resourceVersion } = action.was
        record.set(name, { ...action.stamp, name, uid, resourceVersion, lastWrite: record.get(name)?.lastWrite })
        return undefined
      }
      case 'forgetTarget':
        record.delete(action.name)
        return undefined
      case 'failTarget':
        pass.problems.set(action.name, action.problem)
        return undefined
      default: {
        const result = await this.#write(action, pass, signal)
        await this.#note(action, result, pass, signal)
        return result.kind
      }
    }
  }

  async #write(action: TargetWrite, { contents, credential }: Pass, signal: AbortSignal): Promise<WriteResult> {
    const { writer } = this.#options
    const { namespace } = credential
    const context = { reason: action.reason, signal }
    switch (action.do) {
      case 'createTarget':
        return await writer.create(action.desired, context)
      case 'patchTarget':
        return await writer.patch(action.desired, action.correction, action.was, context)
      case 'recreateTarget':
        return await writer.recreate(action.desired, action.was, context)
      case 'deleteTarget':
        return await writer.delete({ namespace, ...action.was }, context)
      case 'releaseKeys':
        return await writer.releaseKeys({ namespace, ...action.was }, action.keys, context)
      case 'applyKeys': {
        const manager = { name: mergeFieldManager(credential.uid), isForced: action.isForced }
        return await writer.applyKeys({ namespace, ...action.was }, action.data, manager, context)
      }
      case 'disownTarget': {
        const content = contents.get(action.was.name)
        return content === undefined
          ? { kind: 'stale' }
          : await writer.disown(content, credential.uid, action.keptKeys, context)
      }
    }
  }

  async #note(action: TargetWrite, result: WriteResult, pass: Pass, signal: AbortSignal): Promise<void> {
    const { clock, secrets } = this.#options
    const { contents, credential, problems, state } = pass
    const { name } = 'was' in action ? action.was : action.desired
    contents.delete(name)
    switch (result.kind) {
      case 'written': {
        const meta = parseMetadata(result.secret)
        secrets.upsert(meta)
        if (!('stamp' in action)) return
        const { resourceVersion, uid } = meta
        const lastWrite = { reason: action.reason, atWall: clock.wall() }
        state.record.set(name, { ...action.stamp, name, uid, resourceVersion, lastWrite })
        return
      }
      case 'deleted':
        secrets.remove({ namespace: credential.namespace, name })
        state.record.delete(name)
        return
      case 'stale':
        // The watch may be behind: the Secret as it is now decides.
        await this.#fetch(name, pass, signal)
        return
      case 'failed':
        problems.set(name, writeProblem(action, name, result.error))
        pass.retryAfterMs = Math.max(pass.retryAfterMs, result.error.retryAfterMs ?? 0)
        return
    }
  }

  async #fetch(name: string, { contents, credential }: Pass, signal: AbortSignal): Promise<void> {
    const { secrets, writer } = this.#options
    const ref = { namespace: credential.namespace, name }
    const secret = await writer.get(ref, signal)
    if (secret === undefined) {
      secrets.remove(ref)
      contents.delete(name)
      return
    }
    secrets.upsert(parseMetadata(secret))
    contents.set(name, secret)
  }
}

/** A write that the API server refused. The user must act on a refusal of its content; everything else is retried. */
function writeProblem({ do: kind }: TargetWrite, name: string, error: ApiError): Problem {
  const isRefused = error.code >= 400 && error.code < 500 && ![404, 408, 409, 429].includes(error.code)
  const { admissionDenial } = error
  const details = admissionDenial === undefined ? error.fields : [describeDenial(admissionDenial)]
  const detail = details.length > 0 ? ` (${details.join(', ')})` : ''
  const hint =
    isForbidden(error) && admissionDenial === undefined
      ? '; check that the operator may write Secrets in this namespace, and the quota of the namespace'
      : ''
  const outcome =
    kind === 'deleteTarget' ? 'was not deleted' : kind === 'releaseKeys' ? 'still has our keys' : 'was not written'
  const seen = error.code === 0 ? error.reason : `HTTP ${error.code} ${error.reason}`
  return {
    class: isRefused ? 'userMustAct' : 'retry',
    reason: 'TargetWriteFailed',
    message: `spec.targets: Secret ${name} ${outcome}: ${seen}${detail}${hint}`,
  }
}
