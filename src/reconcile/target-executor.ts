import { mergeFieldManager } from '../api/v1alpha1/names.ts'
import { type ApiError, isForbidden } from '../kubernetes/errors.ts'
import type { Store } from '../kubernetes/store.ts'
import type { Problem } from '../api/v1alpha1/problem.ts'
import type { ObjectMetadata } from '../observe/observed.ts'
import type { TargetWriter, WriteResult } from '../targets/target-writer.ts'
import type { TargetAction } from '../plan/actions.ts'
import type { Pass } from '../observe/pass.ts'
import { parseMetadata } from '../observe/parse-object.ts'

export interface TargetExecutorOptions {
  readonly writer: TargetWriter
  readonly secrets: Store<ObjectMetadata>
}

type WriteAction = Extract<TargetAction, { was: unknown } | { desired: unknown }>

/** Does what was planned for targets, and notes what came of it. Decides nothing. */
export class TargetExecutor {
  readonly #options: TargetExecutorOptions

  constructor(options: TargetExecutorOptions) {
    this.#options = options
  }

  async execute(action: TargetAction, pass: Pass, signal: AbortSignal): Promise<void> {
    switch (action.do) {
      case 'fetchTarget':
        await this.#read(action.name, pass, signal)
        return
      case 'confirmTarget': {
        const { name, uid, resourceVersion } = action.was
        pass.state.record.set(name, { ...action.stamp, name, uid, resourceVersion })
        return
      }
      case 'forgetTarget':
        pass.state.record.delete(action.name)
        return
      case 'failTarget':
        pass.problems.set(action.name, action.problem)
        return
      default:
        await this.#note(action, await this.#write(action, pass, signal), pass, signal)
    }
  }

  async #write(
    action: Exclude<WriteAction, { do: 'confirmTarget' }>,
    { contents, credential }: Pass,
    signal: AbortSignal,
  ): Promise<WriteResult> {
    const { writer } = this.#options
    const { namespace } = credential
    switch (action.do) {
      case 'createTarget':
        return await writer.create(action.desired, signal)
      case 'patchTarget':
        return await writer.patch(action.desired, action.correction, action.was, signal)
      case 'recreateTarget':
        return await writer.recreate(action.desired, action.was, signal)
      case 'deleteTarget':
        return await writer.delete({ namespace, name: action.was.name }, action.was, signal)
      case 'releaseKeys':
        return await writer.releaseKeys({ namespace, name: action.was.name }, action.keys, action.was, signal)
      case 'applyKeys': {
        const manager = { name: mergeFieldManager(credential.uid), isForced: action.isForced }
        return await writer.applyKeys({ namespace, name: action.was.name }, action.data, manager, action.was, signal)
      }
      case 'disownTarget': {
        const content = contents.get(action.was.name)
        return content === undefined
          ? { kind: 'stale' }
          : await writer.disown(content, credential.uid, action.keptKeys, signal)
      }
    }
  }

  async #note(
    action: Exclude<WriteAction, { do: 'confirmTarget' }>,
    result: WriteResult,
    pass: Pass,
    signal: AbortSignal,
  ): Promise<void> {
    const { secrets } = this.#options
    const { contents, credential, problems, state } = pass
    const { name } = 'was' in action ? action.was : action.desired
    contents.delete(name)
    switch (result.kind) {
      case 'written': {
        const meta = parseMetadata(result.secret)
        secrets.upsert(meta)
        if (!('stamp' in action)) return
        state.record.set(name, { ...action.stamp, name, uid: meta.uid, resourceVersion: meta.resourceVersion })
        return
      }
      case 'deleted':
        secrets.remove({ namespace: credential.namespace, name })
        state.record.delete(name)
        return
      case 'stale':
        // Whatever the watch says meanwhile, what is there now decides.
        await this.#read(name, pass, signal)
        return
      case 'failed':
        problems.set(name, writeProblem(action, name, result.error))
        pass.retryAfterMs = Math.max(pass.retryAfterMs, result.error.retryAfterMs ?? 0)
        return
    }
  }

  async #read(name: string, { contents, credential }: Pass, signal: AbortSignal): Promise<void> {
    const { secrets, writer } = this.#options
    const ref = { namespace: credential.namespace, name }
    const secret = await writer.read(ref, signal)
    if (secret === undefined) {
      secrets.remove(ref)
      contents.delete(name)
      return
    }
    secrets.upsert(parseMetadata(secret))
    contents.set(name, secret)
  }
}

/** A write that the API server refused. What was refused for its content is the user's to mend; the rest passes. */
function writeProblem({ do: kind }: WriteAction, name: string, error: ApiError): Problem {
  const isRefused = error.code >= 400 && error.code < 500 && ![404, 408, 409, 429].includes(error.code)
  const fields = error.fields.length > 0 ? ` (${error.fields.join(', ')})` : ''
  const hint = isForbidden(error) ? '; may the operator write Secrets in this namespace, and is there quota?' : ''
  const outcome =
    kind === 'deleteTarget' ? 'was not deleted' : kind === 'releaseKeys' ? 'still has keys of ours' : 'was not written'
  const seen = error.code === 0 ? error.reason : `HTTP ${error.code} ${error.reason}`
  return {
    class: isRefused ? 'userMustAct' : 'retry',
    reason: 'TargetWriteFailed',
    message: `spec.targets: Secret ${name} ${outcome}: ${seen}${fields}${hint}`,
  }
}
