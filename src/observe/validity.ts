import { type Observed, tokenOnTargets } from './observed.ts'

/** With method Get up to a second of expired token is inherent, so Ready falls only after this time. */
const pollingGraceMs = 2000

/** Until when the token on the targets counts as valid, monotonic clock. */
export function validUntil(observed: Observed): number | undefined {
  const token = tokenOnTargets(observed)
  const isPolling = observed.application?.method === 'Get'
  if (token === undefined) return undefined
  const { expiresAt, unconfirmedUntil = expiresAt } = token
  return Math.max(expiresAt + (isPolling ? pollingGraceMs : 0), unconfirmedUntil)
}
