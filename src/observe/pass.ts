import type { Problem } from '../api/v1alpha1/problem.ts'
import type { Credential } from './observed.ts'
import type { Secret } from '../targets/secret.ts'
import type { CredentialState } from './credential-state.ts'

/**
 * One pass over a credential, of as many looks as it takes: what it knows beyond what is kept, that is, Secrets that were
 * read, and what went wrong. A problem lasts as long as the pass, so that nothing is tried twice in it.
 */
export interface Pass {
  credential: Credential
  state: CredentialState
  readonly contents: Map<string, Secret>
  /** By target. */
  readonly problems: Map<string, Problem>
  sourceProblem: Problem | undefined
  /** The longest that a server asked to wait, ms. */
  retryAfterMs: number
}

export function newPass(credential: Credential, state: CredentialState): Pass {
  return { credential, state, contents: new Map(), problems: new Map(), sourceProblem: undefined, retryAfterMs: 0 }
}

/** Whether there is something to be tried again, though nothing changes. */
export function hasFailed({ problems, sourceProblem }: Pass): boolean {
  return problems.size > 0 || sourceProblem !== undefined
}
