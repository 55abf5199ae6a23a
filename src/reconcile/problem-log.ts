import type { Condition } from '../api/v1alpha1/conditions.ts'
import type { Log } from '../lib/log.ts'
import type { StoredCredential } from '../observe/parse-object.ts'
import type { EventInput } from '../status/events.ts'

type Credential = Pick<StoredCredential, 'key' | 'status'>

/** Reasons for a pause or a running call, not for a new problem. */
const quietReasons = new Set(['Suspended', 'WaitingForToken'])
/** Logged with the event that the plan emits for them. */
const loggedReasons = new Set(['TargetAltered', 'TargetContested'])

/**
 * Compares the conditions of the status that was written with those before. One warn line for each new reason, and for
 * another message of a problem that the user must solve; retries repeat neither. One info line when no problem is left,
 * with the reasons that were logged since there was none.
 *
 * @param logged reasons that were logged and are not solved yet
 * @returns these reasons after it
 */
export function logProblems(
  log: Log,
  { key, status }: Credential,
  after: readonly Condition[],
  logged: readonly string[] = [],
): readonly string[] {
  const [before, present] = [problemsOf(status.conditions), problemsOf(after)]
  for (const [reason, { message, type }] of present) {
    const known = before.get(reason)
    // The message of a failure that is retried may differ each time: refused, then timed out.
    const isNew = known === undefined || (type === 'Stalled' && known.message !== message)
    if (isNew && !quietReasons.has(reason) && !loggedReasons.has(reason)) {
      log.warn({ credential: key, reason, detail: message }, 'problem found')
    }
  }
  const reasons = new Set([...logged, ...present.keys()])
  const isSuspended = after.some(({ reason }) => reason === 'Suspended')
  if (before.size > 0 && present.size === 0 && !isSuspended) {
    // After a restart only the status knows of a problem; an attempt that is under way has replaced its reason there.
    const solved = notQuiet([...reasons, ...before.keys()])
    log.info({ credential: key, ...(solved.length === 0 ? {} : { reasons: solved }) }, 'problems solved')
    return []
  }
  return notQuiet(reasons)
}

/** Each once. */
function notQuiet(reasons: Iterable<string>): string[] {
  return [...new Set(reasons)].filter((reason) => !quietReasons.has(reason))
}

/** Logs an event that comes with no change of a condition. */
export function logEvent(log: Log, { key }: Pick<Credential, 'key'>, { note, reason, type }: EventInput): void {
  const fields = { credential: key, reason, detail: note }
  if (type === 'Warning') log.warn(fields, 'problem found')
  else log.info(fields, 'event emitted')
}

/** One condition for each reason; that of Stalled where several conditions have the same. */
function problemsOf(conditions: readonly Condition[]): Map<string, Condition> {
  const isProblem = ({ reason, status, type }: Condition): boolean => {
    if (type === 'Stalled') return status === 'True'
    // A write of a new token that is retried shows nowhere else while the old one is valid.
    if (type === 'Reconciling') return status === 'True' && !quietReasons.has(reason)
    // A renewal that has failed is a problem until one works.
    return status === 'False' && (type === 'RenewalHealthy' || !quietReasons.has(reason))
  }
  const problems = conditions
    .filter(isProblem)
    .sort((a, b) => Number(a.type === 'Stalled') - Number(b.type === 'Stalled'))
  return new Map(problems.map((condition) => [condition.reason, condition]))
}
