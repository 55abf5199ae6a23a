import { createHash } from 'node:crypto'
import type { Operation } from '../enos/operation.ts'
import type { Sensitive } from '../lib/sensitive.ts'
import type { HeldToken } from './held-token.ts'

/*
 * The renewal rule: when a token is due, and which call comes next. It is stated here and nowhere else, and is pure.
 * Times are on the monotonic clock, in ms.
 *
 * - Without a token that is proven for its appSecret, an identity is due at once.
 * - Method Refresh: a token is due when the window before its expiry begins, earlier by the application's own jitter.
 *   Where members differ, the earliest moment wins.
 * - Method Get: a token is due at its expiry, then every `pollIntervalMs` until the gateway has the next one.
 * - Verification (`verifyEvery`): get is due that long after the gateway's last answer.
 * - After a failure: at `retryAt`.
 * - A forced renewal is due at once, one per `forcedIntervalMs`. It never postpones anything else.
 * - Every attempt begins with get, and refreshes only a token that is still due (`nextCall`).
 */

/** How a new token is obtained: refresh the old one inside its window, or get a new one once it has expired. */
export type RenewalMethod = 'Refresh' | 'Get'

export type TokenLife = Pick<HeldToken, 'expiresAt' | 'lifetimeMs'>

/** The merged wishes of an application's members, and the application's share of the jitter. */
export interface RenewalTerms {
  readonly method: RenewalMethod
  /** One value for each wish; undefined stands for the default window. */
  readonly renewBeforeMs: Iterable<number | undefined>
  readonly verifyEveryMs: Iterable<number>
  /** In [0, 1). */
  readonly jitterShare: number
}

/** What has happened so far to an identity and its application. */
export interface RenewalState {
  /** The application's token; undefined when there is none, or none that is proven for this identity. */
  readonly token: TokenLife | undefined
  /** The gateway's last answer with this token. */
  readonly lastAnsweredAt: number
  /** The end of the application's last attempt. */
  readonly lastAttemptAt: number
  /** The end of this identity's last attempt. */
  readonly lastOwnAttemptAt: number
  readonly lastForcedAt: number
  readonly hasFailed: boolean
  /** No attempt before this moment, except a forced one. */
  readonly retryAt: number
  /** A member asks for a renewal now. */
  readonly isRequested: boolean
}

const minuteMs = 60_000
const maxJitter = 0.05
const forcedIntervalMs = 10_000
/** `expire` is in whole seconds, so that a get at expiry may come up to a second before the gateway has the next token. */
const pollIntervalMs = 250
/** Jitter makes verifications earlier, but never closer together than this. */
const minVerifyMs = 10_000
/** Attempts never come closer together than this, however odd the gateway's answers. */
const minIntervalMs = 1000

/** The default window before expiry in which a token is renewed: 7,200 s → 24 min, 60 s → 30 s. */
export function defaultWindowMs(lifetimeMs: number): number {
  return Math.max(0.2 * lifetimeMs, Math.min(10 * minuteMs, lifetimeMs / 2))
}

/** The window in force: `renewBefore`, at most half the lifetime, or else the default. */
export function windowMs(lifetimeMs: number, renewBeforeMs: number | undefined): number {
  return renewBeforeMs === undefined ? defaultWindowMs(lifetimeMs) : Math.min(renewBeforeMs, lifetimeMs / 2)
}

/** Whether `renewBefore` is more than half the lifetime, so that the window in force is smaller. */
export function isClamped(lifetimeMs: number, renewBeforeMs: number | undefined): boolean {
  return renewBeforeMs !== undefined && renewBeforeMs > lifetimeMs / 2
}

/** An application's fixed share of the jitter, in [0, 1): the same after a restart and in every replica. */
export function jitterShareOf(gatewayUrl: string, appKey: Sensitive): number {
  const digest = createHash('sha256').update(`${gatewayUrl}\n${appKey.reveal()}`).digest()
  return digest.readUInt32BE(0) / 2 ** 32
}

/** When a token is due for renewal. Jitter only ever makes it earlier, by at most 5 % of the lifetime. */
export function renewalAt(token: TokenLife, terms: Omit<RenewalTerms, 'verifyEveryMs'>): number {
  if (terms.method === 'Get') return token.expiresAt
  let maxWindowMs = Number.NEGATIVE_INFINITY
  for (const renewBeforeMs of terms.renewBeforeMs) {
    maxWindowMs = Math.max(maxWindowMs, windowMs(token.lifetimeMs, renewBeforeMs))
  }
  return token.expiresAt - maxWindowMs - maxJitter * token.lifetimeMs * terms.jitterShare
}

/** When the next attempt of an identity is due; in the past when it is overdue. */
export function dueAt(state: RenewalState, terms: RenewalTerms): number {
  const regularAt = dueWithoutRequestAt(state, terms)
  return state.isRequested ? Math.min(regularAt, state.lastForcedAt + forcedIntervalMs) : regularAt
}

/** Whether a renewal that was asked for may be made now. */
export function isForced(
  { isRequested, lastForcedAt }: Pick<RenewalState, 'isRequested' | 'lastForcedAt'>,
  now: number,
): boolean {
  return isRequested && now >= lastForcedAt + forcedIntervalMs
}

function dueWithoutRequestAt(state: RenewalState, terms: RenewalTerms): number {
  const { lastAttemptAt, lastOwnAttemptAt, retryAt, token } = state
  // A gateway that answers each get with another token would leave no identity proven: hence the interval.
  if (token === undefined) return Math.max(retryAt, lastOwnAttemptAt + minIntervalMs)
  const intervalMs = terms.method === 'Get' ? pollIntervalMs : minIntervalMs
  return Math.max(state.hasFailed ? retryAt : firstDueAt(token, state, terms), retryAt, lastAttemptAt + intervalMs)
}

function firstDueAt(token: TokenLife, { lastAnsweredAt }: RenewalState, terms: RenewalTerms): number {
  return Math.min(renewalAt(token, terms), verificationAt(lastAnsweredAt, terms))
}

/** When get is due to confirm the token: as often as the most frequent wish. */
function verificationAt(lastAnsweredAt: number, { jitterShare, verifyEveryMs }: RenewalTerms): number {
  const everyMs = Math.min(...verifyEveryMs)
  if (everyMs === Number.POSITIVE_INFINITY) return everyMs
  return lastAnsweredAt + Math.max(minVerifyMs, everyMs * (1 - maxJitter * jitterShare))
}

/** The calls of one attempt so far, and their results. */
export interface AttemptProgress {
  readonly method: RenewalMethod
  /** A member asks for a renewal now. */
  readonly isForced: boolean
  /** Fingerprint of the token that was held when the attempt began. */
  readonly heldFingerprint: string | undefined
  /** No token was held, but one had been: its target was deleted while the resource was suspended, for instance. */
  readonly isHeldTokenLost: boolean
  /** The answer of the last get or refresh. */
  readonly answered: HeldToken | undefined
  /** When `answered` is due for renewal. */
  readonly answeredRenewalAt: number
  readonly hasRefreshed: boolean
  /** Refreshes whose answer was to ask get again. */
  readonly refusedRefreshes: number
}

/** A token that cannot be refreshed twice in one attempt is left to the next attempt, which comes with backoff. */
const maxRefusedRefreshes = 2

/**
 * The next call of an attempt; undefined when the attempt is complete. Every attempt begins with get, and refreshes only
 * a token that is still inside its window. So one case covers a crash between refresh and write, another replica,
 * cluster or script that renewed already, and a refresh whose reply was lost.
 */
export function nextCall(progress: AttemptProgress, now: number): Operation | undefined {
  const { answered } = progress
  if (answered === undefined) return 'get'
  if (progress.method === 'Get' || progress.hasRefreshed) return undefined
  if (progress.refusedRefreshes >= maxRefusedRefreshes) return undefined
  const isInsideWindow = now >= progress.answeredRenewalAt
  const isOld = answered.fingerprint === progress.heldFingerprint || progress.isHeldTokenLost
  const isForcedRefresh = progress.isForced && isOld
  return isInsideWindow || isForcedRefresh ? 'refresh' : undefined
}
