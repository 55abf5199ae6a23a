import { monotonicNextRenewalAt, type Observed } from '../observe/observed.ts'
import { validUntil } from '../observe/validity.ts'
import { firstVerificationAt } from './up-to-date.ts'

/** However quiet, every resource is looked at again after this time. */
const resyncMs = 10 * 60_000

/**
 * When a resource must be looked at again though nothing changed: its token expires (Ready falls), its renewal is due
 * while it has not joined its application (which sees to that otherwise), or it was not looked at for long. Monotonic clock,
 * always after `now`.
 */
export function requeueAt(observed: Observed, now: number): number {
  const moments = [validUntil(observed)]
  const isRenewedHere = observed.membership === undefined && !observed.credential.spec.suspend
  if (isRenewedHere) moments.push(monotonicNextRenewalAt(observed), firstVerificationAt(observed))
  return moments.reduce<number>(
    (earliest, at) => (at !== undefined && at > now && at < earliest ? at : earliest),
    now + resyncMs,
  )
}
