import { mergeFinalizer } from '../api/v1alpha1/names.ts'
import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { noteCorrection } from '../observe/contest.ts'
import type { CredentialState } from '../observe/credential-state.ts'
import type { PropagationRequest } from '../observe/observed.ts'
import { noteFinalizerWrite } from '../observe/own-writes.ts'
import type { StoredCredential } from '../observe/parse-object.ts'
import type { Pass } from '../observe/pass.ts'
import { type Action, type ResourceAction, targetOf } from '../plan/actions.ts'
import type { EventInput } from '../status/events.ts'
import { isSameStatus } from '../status/next-status.ts'
import { isWrittenElsewhere } from '../status/shared-status.ts'
import type { Applications } from '../tokens/applications.ts'
import { logEvent, logProblems } from './problem-log.ts'
import type { ResourceWriter } from './resource-writer.ts'
import type { SourceFetcher } from './source-fetcher.ts'
import type { TargetExecutor } from './target-executor.ts'

/** Has running pods see the present token of a credential's targets. */
export interface Propagator {
  propagate(request: PropagationRequest): void
}

export interface ExecutorOptions {
  readonly resources: Pick<ResourceWriter, 'setFinalizers' | 'patchStatus'>
  readonly sources: Pick<SourceFetcher, 'fetch'>
  readonly targets: Pick<TargetExecutor, 'execute'>
  readonly applications: Pick<Applications, 'join' | 'leave'>
  readonly propagator: Propagator
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
  readonly emitEvent: (credential: StoredCredential, event: EventInput) => void
}

/** Executes a plan and notes the results. Decides nothing. */
export class Executor {
  readonly #options: ExecutorOptions

  constructor(options: ExecutorOptions) {
    this.#options = options
  }

  /** Executes side by side. Rejects with the first error once all have ended, so that no write is in flight during the next plan. */
  async executeAll(actions: readonly Action[], pass: Pass, signal: AbortSignal): Promise<void> {
    await settleAll(
      actions.map(async (action) => {
        const result = await this.#execute(action, pass, signal)
        pass.executed.push({ action: action.do, target: targetOf(action), reason: action.reason, result })
      }),
    )
  }

  /** The same for a resource without a valid spec. */
  async executeOnResource(
    actions: readonly ResourceAction[],
    credential: StoredCredential,
    signal: AbortSignal,
  ): Promise<void> {
    await settleAll(actions.map((action) => this.#executeOnResource(action, credential, signal)))
  }

  async #execute(action: Action, pass: Pass, signal: AbortSignal): Promise<string | undefined> {
    const { applications, propagator, sources, targets } = this.#options
    const { credential, state } = pass
    switch (action.do) {
      case 'fetchSources':
        pass.sourceProblem = await sources.fetch(pass, signal)
        return undefined
      case 'join':
        state.membership = action.membership
        applications.join(credential.key, action.membership, action.found)
        return undefined
      case 'propagate':
        propagator.propagate({ credential, ...action })
        return undefined
      case 'leave':
        state.membership = undefined
        return await this.#executeOnResource(action, credential, signal)
      case 'emitEvent':
        state.notes.set(action.event.reason, action.event.note)
        return await this.#executeOnResource(action, credential, signal)
      case 'patchStatus':
        return await this.#patchOwnStatus(action, pass, signal)
      case 'setFinalizers': {
        const result = await this.#executeOnResource(action, credential, signal)
        const isSet = action.finalizers.includes(mergeFinalizer)
        if (result === 'written') {
          state.finalizerWrite = noteFinalizerWrite(state.finalizerWrite, isSet, this.#options.clock.now())
        }
        return result
      }
      default:
        return await targets.execute(action, pass, signal)
    }
  }

  async #patchOwnStatus(
    action: Extract<Action, { do: 'patchStatus' }>,
    { credential, state }: Pass,
    signal: AbortSignal,
  ): Promise<string> {
    const { clock } = this.#options
    const { ownStatus } = state
    // A write that is not answered may have been made: its status is ours.
    state.ownStatus = undefined
    const written = await this.#patchStatus(action, credential, signal, state)
    if (written === undefined) {
      state.ownStatus = ownStatus
      return 'stale'
    }
    if (isWrittenElsewhere({ credential, ownStatus })) noteStatusCorrection(state, action.status, clock.now())
    state.ownStatus = written.status
    state.isStatusDue = false
    state.statusWrittenAt = clock.now()
    const pruned = { written: action.status, kept: written.status }
    state.prunedStatus = isSameStatus(pruned.written, pruned.kept) ? undefined : pruned
    return 'written'
  }

  async #executeOnResource(
    action: ResourceAction,
    credential: StoredCredential,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { applications, emitEvent, log, resources } = this.#options
    switch (action.do) {
      case 'leave':
        applications.leave(credential.key)
        return undefined
      case 'emitEvent':
        emitEvent(credential, action.event)
        logEvent(log, credential, action.event)
        return undefined
      case 'setFinalizers':
        return resultOf(await resources.setFinalizers(credential, action.finalizers, signal))
      case 'patchStatus':
        return resultOf(await this.#patchStatus(action, credential, signal))
    }
  }

  async #patchStatus(
    { events, status }: Extract<ResourceAction, { do: 'patchStatus' }>,
    credential: StoredCredential,
    signal: AbortSignal,
    state?: Pick<CredentialState, 'loggedProblems'>,
  ): Promise<StoredCredential | undefined> {
    const { emitEvent, log, resources } = this.#options
    const written = await resources.patchStatus(credential, status, signal)
    // Only then: the status that another writer changed meanwhile is planned anew, with its events.
    if (written === undefined) return undefined
    for (const event of events) emitEvent(credential, event)
    const logged = logProblems(log, credential, status.conditions, state?.loggedProblems)
    // Most have none, and keep the list that all share.
    if (state !== undefined && logged.length + state.loggedProblems.length > 0) state.loggedProblems = logged
    return written
  }
}

function noteStatusCorrection(state: CredentialState, { tokenFingerprint }: CredentialStatus, now: number): void {
  const interference = { isTokenLost: false, writer: undefined }
  state.statusContest = noteCorrection(state.statusContest, tokenFingerprint, interference, now)
}

function resultOf(written: object | undefined): string {
  return written === undefined ? 'stale' : 'written'
}

async function settleAll(running: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(running)
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
