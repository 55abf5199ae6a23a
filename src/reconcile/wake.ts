import { type Observed, publishedToken, steadyNextRenewalAt } from './observed.ts'
import { firstVerificationAt } from './settled.ts'

/** However quiet, every resource is looked at again after this time. */
const resyncMs = 10 * 60_000
/** With method Get, up to a second of expired token is inherent: Ready falls only after this. */
export const pollingGraceMs = 2000

/** Until when the published token counts as valid, steady. */
export function validUntil(observed: Observed): number | undefined {
  const token = publishedToken(observed)
  const isPolling = observed.application?.method === 'Get'
  return token === undefined ? undefined : token.expiresAt + (isPolling ? pollingGraceMs : 0)
}

/**
 * When a resource must be looked at again though nothing changed: its token expires (Ready falls), its renewal is due
 * while it has not joined its application (which sees to that otherwise), or it was not looked at for long. Steady,
 * always after `now`.
 */
export function wakeAt(observed: Observed, now: number): number {
  const moments = [validUntil(observed)]
  const isRenewedHere = observed.membership === undefined && !observed.credential.spec.suspend
  if (isRenewedHere) moments.push(steadyNextRenewalAt(observed), firstVerificationAt(observed))
  return moments.reduce<number>(
    (earliest, at) => (at !== undefined && at > now && at < earliest ? at : earliest),
    now + resyncMs,
  )
}
