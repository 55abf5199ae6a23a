import type { Operation } from '../enos/operation.ts'
import type { HeldToken } from './schedule.ts'

/** How a new token is had: refresh the old one inside its window, or get a new one the moment that it has expired. */
export type RenewalMethod = 'Refresh' | 'Get'

/** What is known in the middle of one attempt to renew: the calls so far, and what they brought. */
export interface Attempt {
  readonly method: RenewalMethod
  /** Somebody asked for a renewal now. */
  readonly isForced: boolean
  /** Fingerprint of the token that was held when the attempt began. */
  readonly heldFingerprint: string | undefined
  /** What the last get or refresh answered. */
  readonly answered: HeldToken | undefined
  /** When `answered` is due for renewal, on the monotonic clock. */
  readonly answeredRenewalAt: number
  readonly hasRefreshed: boolean
  /** Refreshes that were answered with "ask get again". */
  readonly refusedRefreshes: number
}

/** A token that cannot be refreshed twice in one attempt is left to the next attempt, which comes with backoff. */
const refusedRefreshLimit = 2

/**
 * The next call of an attempt; undefined: the attempt is complete. Every attempt begins with get, and refreshes only if what get answers is still inside its
 * window: so a crash between refresh and write, another replica, cluster or script that renewed already, and a refresh
 * whose reply was lost are all one case, and no token is refreshed that somebody has just received.
 */
export function nextCall(attempt: Attempt, now: number): Operation | undefined {
  const { answered } = attempt
  if (answered === undefined) return 'get'
  if (attempt.method === 'Get' || attempt.hasRefreshed) return undefined
  if (attempt.refusedRefreshes >= refusedRefreshLimit) return undefined
  const isInsideWindow = now >= attempt.answeredRenewalAt
  const isForced = attempt.isForced && answered.fingerprint === attempt.heldFingerprint
  return isInsideWindow || isForced ? 'refresh' : undefined
}
