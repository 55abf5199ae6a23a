import type { Problem } from '../api/v1alpha1/problem.ts'
import type { Observed } from '../observe/observed.ts'
import type { Action } from './actions.ts'

/** What a check says. */
export type Verdict =
  /** Do this, then look again. */
  | { readonly kind: 'do'; readonly actions: readonly Action[] }
  /** Nothing more can be done now: say so. */
  | { readonly kind: 'stop'; readonly problem: Problem | undefined }
  /** Look again then: what is missing is on its way. */
  | { readonly kind: 'wait'; readonly until: number }
  /** All is as the status says. */
  | { readonly kind: 'settled' }
  /** The resource is on its way out; nothing is to be said of it. */
  | { readonly kind: 'gone' }

/** A resource that cannot go on is no member: its application is not renewed for its sake. */
export function stopWith({ membership }: Observed, problem: Problem | undefined): Verdict {
  return membership === undefined ? { kind: 'stop', problem } : { kind: 'do', actions: [{ do: 'leave' }] }
}
