import type { Problem } from '../api/v1alpha1/problem.ts'
import type { Observed } from '../observe/observed.ts'
import type { Action, PlanReason } from './actions.ts'

/** The answer of a check. */
export type Verdict<A = Action> =
  /** Execute these, then observe and plan again. Each action has its own reason. */
  | { readonly kind: 'act'; readonly actions: readonly A[] }
  /** Go no further, and report that in the status. */
  | { readonly kind: 'stop'; readonly reason: PlanReason; readonly problem: Problem | undefined }
  /** Plan again then: something is still on its way. */
  | { readonly kind: 'wait'; readonly reason: PlanReason; readonly until: number }
  /** The status is true as it stands. */
  | { readonly kind: 'upToDate'; readonly reason: PlanReason }
  /** The resource goes; there is nothing to report. */
  | { readonly kind: 'gone'; readonly reason: PlanReason }

export function act<A = Action>(...actions: readonly A[]): Verdict<A> {
  return { kind: 'act', actions }
}

/** Nothing to say where there is nothing to do. */
export function actIfAny(actions: readonly Action[]): Verdict | undefined {
  return actions.length === 0 ? undefined : { kind: 'act', actions }
}

/** Stops at a problem. A resource that cannot go on leaves its application first, which is then not renewed for it. */
export function stopAt(observed: Observed, problem: Problem): Verdict {
  return stopFor(observed, problem.reason, problem)
}

export function stopFor({ membership }: Observed, reason: PlanReason, problem?: Problem): Verdict {
  return membership === undefined ? { kind: 'stop', reason, problem } : act({ do: 'leave', reason })
}
