import type { Problem } from '../api/v1alpha1/problem.ts'
import type { Secret } from '../targets/secret.ts'
import type { CredentialState } from './credential-state.ts'
import type { Credential } from './observed.ts'

/** An action that was executed, for the log. */
export interface ExecutedAction {
  readonly action: string
  /** Name of the target; undefined for actions on anything else. */
  readonly target: string | undefined
  readonly reason: string
  /** What became of a write: written, deleted, stale or failed. */
  readonly result: string | undefined
}

/**
 * One reconcile of a credential, which takes as many iterations of observe, plan and execute as it needs. The Secrets
 * that were read and the problems last as long as the pass, so that no failed action is tried twice in it.
 */
export interface Pass {
  credential: Credential
  state: CredentialState
  readonly contents: Map<string, Secret>
  /** By target. */
  readonly problems: Map<string, Problem>
  sourceProblem: Problem | undefined
  /** The longest time that the API server asked to wait, ms. */
  retryAfterMs: number
  /** Secrets that were adopted: the note of the event, by target. */
  readonly adoptions: Map<string, string>
  readonly executed: ExecutedAction[]
  /** Targets that were read after a refused write; each at most once. */
  readonly reread: Set<string>
}

export function newPass(credential: Credential, state: CredentialState): Pass {
  return {
    credential,
    state,
    contents: new Map(),
    problems: new Map(),
    sourceProblem: undefined,
    retryAfterMs: 0,
    adoptions: new Map(),
    executed: [],
    reread: new Set(),
  }
}

/** Whether an action has to be retried, though nothing changes. */
export function hasFailed({ problems, sourceProblem }: Pass): boolean {
  return problems.size > 0 || sourceProblem !== undefined
}

/** Whether the pass has written the token to a target. */
export function hasWrittenTarget({ executed }: Pass): boolean {
  return executed.some(({ action }) => ['createTarget', 'patchTarget', 'recreateTarget', 'applyKeys'].includes(action))
}
