import { createHash } from 'node:crypto'
import type { Sensitive } from '../lib/sensitive.ts'

/** A token that is held. Times in ms. */
export interface HeldToken {
  readonly token: Sensitive
  readonly fingerprint: string
  /** When the token runs out, on the steady timeline: deadlines are counted from here. */
  readonly expiresAt: number
  /** The same moment by the wall clock, fixed when the token came: what is published never drifts. Whole seconds. */
  readonly expiresAtWall: number
  /** When this token was first received, by the wall clock. Whole seconds. */
  readonly issuedAtWall: number
  /** How long a new token of this application lives. */
  readonly lifetimeMs: number
}

const minuteMs = 60_000

/** The default window, before expiry, in which a token is renewed: 7,200 s → 24 min, 60 s → 30 s. */
export function defaultWindowMs(lifetimeMs: number): number {
  return Math.max(0.2 * lifetimeMs, Math.min(10 * minuteMs, lifetimeMs / 2))
}

/** The window that is in force: what was asked for, at most half the lifetime, or the default. */
export function windowMs(lifetimeMs: number, renewBeforeMs: number | undefined): number {
  return renewBeforeMs === undefined ? defaultWindowMs(lifetimeMs) : Math.min(renewBeforeMs, lifetimeMs / 2)
}

export function isClamped(lifetimeMs: number, renewBeforeMs: number | undefined): boolean {
  return renewBeforeMs !== undefined && renewBeforeMs > lifetimeMs / 2
}

/** An application's fixed share of the jitter, in [0, 1): the same after a restart and in every replica. */
export function jitterShareOf(gatewayUrl: string, appKey: Sensitive): number {
  const digest = createHash('sha256').update(`${gatewayUrl}\n${appKey.reveal()}`).digest()
  return digest.readUInt32BE(0) / 2 ** 32
}

/** When a token is renewed: its window before expiry, less the jitter (only ever earlier, at most 5 % of the lifetime). */
export function renewalAt(
  token: Pick<HeldToken, 'expiresAt' | 'lifetimeMs'>,
  renewBeforeMs: number | undefined,
  jitterShare: number,
): number {
  return token.expiresAt - windowMs(token.lifetimeMs, renewBeforeMs) - 0.05 * token.lifetimeMs * jitterShare
}

/**
 * Time allowed for one call: the user's timeout, or a third of the life that is left where that is less, so that a
 * hanging gateway leaves room for another try. With no life left there is nothing to leave room for.
 */
export function callTimeoutMs(timeoutMs: number, lifeLeftMs: number): number {
  return lifeLeftMs <= 0 ? timeoutMs : Math.min(timeoutMs, Math.max(1000, lifeLeftMs / 3))
}

/**
 * How long to wait after a failed attempt. Spaced by the life that is left, so that several attempts fit into any
 * window and an outage of hours is no storm; what only the user can mend is asked again at most every 10 minutes.
 *
 * @param failures consecutive ones, the last included
 * @param lifeLeftMs of the token that is held; 0 or less: there is none, or it has expired
 * @param random in [0, 1)
 */
export function retryDelayMs(
  failures: number,
  lifeLeftMs: number,
  userMustAct: boolean,
  retryAfterMs: number | undefined,
  random: number,
): number {
  const capMs = userMustAct
    ? 10 * minuteMs
    : lifeLeftMs > 0
      ? Math.min(5 * minuteMs, Math.max(1000, lifeLeftMs / 8))
      : 30_000
  const backoffMs = Math.min(capMs, 1000 * 2 ** Math.min(failures - 1, 20))
  const jitteredMs = backoffMs * (0.75 + 0.25 * random)
  // A gateway may ask for patience, but not for so much that every chance to renew is lost.
  return Math.max(
    jitteredMs,
    Math.min(retryAfterMs ?? 0, 5 * minuteMs, lifeLeftMs > 0 ? Math.max(1000, lifeLeftMs / 4) : 5 * minuteMs),
  )
}
