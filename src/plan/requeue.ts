import { calmAt, isContested, nextCorrectionAt, stayedAt } from '../observe/contest.ts'
import { monotonicNextRenewalAt, type Observed } from '../observe/observed.ts'
import { nextFinalizerWriteAt } from '../observe/own-writes.ts'
import { validUntil } from '../observe/validity.ts'
import { firstVerificationAt } from './up-to-date.ts'

/** Resync period. */
const resyncMs = 10 * 60_000

/**
 * When to reconcile again though nothing changes: the token expires (Ready falls), a renewal is due for a resource that
 * has not joined its application (which otherwise renews the token), or the resync period is over. Monotonic clock,
 * always after `now`.
 */
export function requeueAt(observed: Observed, now: number): number {
  const moments = [validUntil(observed)]
  const isRenewedHere = observed.membership === undefined && !observed.credential.spec.suspend
  if (isRenewedHere) moments.push(monotonicNextRenewalAt(observed), firstVerificationAt(observed))
  moments.push(nextFinalizerWriteAt(observed, now))
  for (const contest of observed.contests.values()) {
    if (isContested(contest, now)) moments.push(nextCorrectionAt(contest), stayedAt(contest), calmAt(contest))
  }
  return moments.reduce<number>(
    (earliest, at) => (at !== undefined && at > now && at < earliest ? at : earliest),
    now + resyncMs,
  )
}
