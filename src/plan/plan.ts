import type { InvalidObserved, Observed } from '../observe/observed.ts'
import type { Action, Plan, PlanReason, ResourceAction } from './actions.ts'
import { type Check, checks, type ReportCheck, reportChecks } from './checks.ts'
import { requeueAt } from './requeue.ts'
import { rejectInvalidSpec } from './spec-checks.ts'
import type { Verdict } from './verdict.ts'

const orderedChecks: readonly (readonly [string, Check])[] = Object.entries(checks)
const orderedReportChecks: readonly (readonly [string, ReportCheck])[] = Object.entries(reportChecks)

/**
 * What to do now. Pure: the same observation gives the same plan; once its actions are executed and observed, the next
 * plan is nearer to empty. checks.ts is the table of contents.
 */
export function plan(observed: Observed, now: number): Plan {
  for (const [name, check] of orderedChecks) {
    const verdict = check(observed, now)
    if (verdict === undefined) continue
    return verdict.kind === 'stop'
      ? report(observed, now, verdict)
      : planOf(name, verdict, () => requeueAt(observed, now))
  }
  return report(observed, now)
}

/** What to do for a resource whose spec cannot be parsed. */
export function planInvalid(observed: InvalidObserved): Plan<ResourceAction> {
  return planOf('rejectInvalidSpec', rejectInvalidSpec(observed), () => undefined)
}

type Stop = Extract<Verdict, { kind: 'stop' }>

function report(observed: Observed, now: number, stop?: Stop): Plan {
  const requeue = requeueAt(observed, now)
  for (const [name, check] of orderedReportChecks) {
    const verdict = check(observed, stop?.problem, now)
    if (verdict === undefined) continue
    const planned = planOf(name, verdict, () => requeue)
    return { ...planned, requeueAt: planned.requeueAt ?? requeue }
  }
  return { check: undefined, reason: stop?.reason ?? 'UpToDate', actions: [], requeueAt: requeue }
}

function planOf<A extends { readonly reason: PlanReason } = Action>(
  check: string,
  verdict: Verdict<A>,
  defaultRequeueAt: () => number | undefined,
): Plan<A> {
  switch (verdict.kind) {
    case 'act': {
      const [first] = verdict.actions
      return { check, reason: first?.reason ?? 'UpToDate', actions: verdict.actions, requeueAt: undefined }
    }
    case 'wait':
      return {
        check,
        reason: verdict.reason,
        actions: [],
        requeueAt: Math.min(verdict.until, defaultRequeueAt() ?? verdict.until),
      }
    case 'gone':
      return { check, reason: verdict.reason, actions: [], requeueAt: undefined }
    case 'stop':
    case 'upToDate':
      return { check, reason: verdict.reason, actions: [], requeueAt: defaultRequeueAt() }
  }
}
