import { mergeFieldManager } from '../api/v1alpha1/names.ts'
import type { Problem } from '../api/v1alpha1/problem.ts'
import { describeDenial } from '../kubernetes/admission-denial.ts'
import { ApiError, isForbidden } from '../kubernetes/errors.ts'
import type { Store } from '../kubernetes/store.ts'
import type { Clock } from '../lib/clock.ts'
import { contestOfMissing, isContested, noteCorrection } from '../observe/contest.ts'
import { recordTarget } from '../observe/credential-state.ts'
import type { ObjectMetadata, TargetRecord } from '../observe/observed.ts'
import { parseMetadata } from '../observe/parse-object.ts'
import type { Pass } from '../observe/pass.ts'
import type { TargetAction, TargetWrite } from '../plan/actions.ts'
import { alterationOf } from '../targets/alteration.ts'
import type { DesiredSecret } from '../targets/desired-secret.ts'
import type { Secret } from '../targets/secret.ts'
import type { TargetWriter, WriteResult } from '../targets/target-writer.ts'

export interface TargetExecutorOptions {
  readonly writer: TargetWriter
  readonly secrets: Store<ObjectMetadata>
  readonly clock: Pick<Clock, 'now' | 'wall'>
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
        await this.#fetchPlanned(action, pass, signal)
        return undefined
      case 'confirmTarget': {
        const { name, uid, resourceVersion } = action.was
        const lastWrite = record.get(name)?.lastWrite
        recordTarget(record, { ...action.stamp, name, uid, resourceVersion, lastWrite })
        return undefined
      }
      case 'forgetTarget':
        this.#forget(action, pass)
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
      case 'patchMetadata':
        return await writer.patchMetadata({ namespace, ...action.was }, action.change, context)
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
    const { secrets } = this.#options
    const { contents, credential, problems, state } = pass
    const { name } = 'was' in action ? action.was : action.desired
    contents.delete(name)
    switch (result.kind) {
      case 'written':
        this.#noteWritten(action, result.secret, pass)
        return
      case 'deleted':
        secrets.remove({ namespace: credential.namespace, name })
        state.record.delete(name)
        return
      case 'stale':
        // The watch may be behind: the Secret as it is now decides.
        await this.#fetch(name, pass, signal)
        return
      case 'failed':
        // A Secret that was made immutable refuses every change: the Secret as it is now decides, once a pass.
        if (result.error.code === 422 && 'was' in action && !pass.reread.has(name)) {
          pass.reread.add(name)
          await this.#fetch(name, pass, signal)
          return
        }
        problems.set(name, writeProblem(action, name, result.error))
        pass.retryAfterMs = Math.max(pass.retryAfterMs, result.error.retryAfterMs ?? 0)
        return
    }
  }

  #noteWritten(action: TargetWrite, stored: Secret, pass: Pass): void {
    const { clock, secrets } = this.#options
    const { adoptions, state } = pass
    const { name } = 'was' in action ? action.was : action.desired
    const meta = parseMetadata(stored)
    secrets.upsert(meta)
    if (!('stamp' in action)) return
    const lastWrite = { reason: action.reason, atWall: clock.wall() }
    this.#noteContest(action, pass)
    const resourceVersion = recordedVersion(action, state.record.get(name), meta)
    recordTarget(state.record, { ...action.stamp, name, uid: meta.uid, resourceVersion, lastWrite })
    if (action.do === 'patchMetadata') return
    this.#noteAlteration(action, stored, pass)
    if (action.adopts === undefined) return
    adoptions.set(name, action.adopts)
    state.notes.delete('TargetAdopted')
  }

  #forget({ name, reason }: Extract<TargetAction, { do: 'forgetTarget' }>, { credential, state }: Pass): void {
    const { alterations, contests, record } = state
    const isWanted = credential.spec.targets.some((target) => target.name === name)
    const fingerprint = record.get(name)?.token?.fingerprint
    record.delete(name)
    alterations.delete(name)
    if (reason !== 'Missing' || !isWanted) contests.delete(name)
    else if (!contests.has(name)) contests.set(name, contestOfMissing(fingerprint))
  }

  /** Notes how admission altered the write. */
  #noteAlteration(action: ContentWrite, stored: Secret, { state: { alterations } }: Pass): void {
    const { name } = 'was' in action ? action.was : action.desired
    const alteration = alterationOf('desired' in action ? action.desired : { data: dataOf(action) }, stored)
    if (alteration === undefined) alterations.delete(name)
    else alterations.set(name, alteration)
  }

  /** Notes a correction of another writer's change. */
  #noteContest(action: StampedWrite, { state: { contests, notes } }: Pass): void {
    const { name } = 'was' in action ? action.was : action.desired
    const contest = contests.get(name)
    const fingerprint = action.stamp.token?.fingerprint
    if (action.undoes === undefined) {
      if (contest !== undefined) contests.set(name, { ...contest, fingerprint })
      return
    }
    const now = this.#options.clock.now()
    if (contest !== undefined && !isContested(contest, now)) notes.delete('TargetContested')
    let noted = noteCorrection(contest, fingerprint, action.undoes, now)
    // A recreation is two writes.
    if (action.do === 'recreateTarget') noted = noteCorrection(noted, fingerprint, action.undoes, now)
    contests.set(name, noted)
  }

  /** Without a change of ownership the Secret may be lost: a read for it that fails is a problem of the target. */
  async #fetchPlanned(
    { name, reason }: Extract<TargetAction, { do: 'fetchTarget' }>,
    pass: Pass,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await this.#fetch(name, pass, signal)
    } catch (error) {
      if (!(error instanceof ApiError) || reason !== 'OwnershipChanged') throw error
      pass.problems.set(name, writeProblem({ do: 'patchMetadata' }, name, error))
      pass.retryAfterMs = Math.max(pass.retryAfterMs, error.retryAfterMs ?? 0)
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

type StampedWrite = Extract<TargetWrite, { readonly stamp: unknown }>
type ContentWrite = Exclude<StampedWrite, { readonly do: 'patchMetadata' }>

/** The version for the record of a write. Where the keys keep their values, what another writer changed before stays drift. */
function recordedVersion(action: StampedWrite, recorded: TargetRecord | undefined, stored: ObjectMetadata): string {
  if (action.do !== 'patchMetadata' && action.do !== 'disownTarget') return stored.resourceVersion
  const wasRecorded = recorded?.uid === stored.uid && recorded.resourceVersion === action.was.resourceVersion
  return wasRecorded ? stored.resourceVersion : ''
}

/** The data of a write to a Secret of another owner; giving up ownership writes none. */
function dataOf(action: ContentWrite): DesiredSecret['data'] {
  return 'data' in action ? action.data : {}
}

/** A write that the API server refused. The user must act on a refusal of its content; everything else is retried. */
function writeProblem({ do: kind }: Pick<TargetWrite, 'do'>, name: string, error: ApiError): Problem {
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
    ...(kind === 'patchMetadata' && isForbidden(error) ? { isForbidden: true } : {}),
    class: isRefused ? 'userMustAct' : 'retry',
    reason: 'TargetWriteFailed',
    message: `spec.targets: Secret ${name} ${outcome}: ${seen}${detail}${hint}`,
  }
}
