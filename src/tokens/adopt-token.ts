import type { Operation } from '../enos/operation.ts'
import { fingerprintOf } from '../enos/signature.ts'
import type { CallResult } from '../enos/token-client.ts'
import type { ObjectKey } from '../kubernetes/types.ts'
import type { Clock } from '../lib/clock.ts'
import { wallOffsetOf } from '../lib/clock-jump.ts'
import type { Log } from '../lib/log.ts'
import type { Application } from './application.ts'
import type { HeldToken } from './held-token.ts'
import type { Identity, RecordedToken } from './membership.ts'

export type TokenResult = Extract<CallResult, { kind: 'token' }>

export interface AdoptOptions {
  readonly clock: Clock
  readonly log: Log
  /** Called whenever the application's token changes, also in the middle of an attempt. */
  readonly onToken: (application: Application) => void
}

export interface Answered {
  readonly application: Application
  readonly identity: Identity
  readonly operation: Operation
}

/** `expire` is in whole seconds, so that two answers about one token may differ by this. */
const expiryToleranceMs = 2000

/** Makes the token that the gateway answered the application's, proven for the identity that called. */
export function adoptToken(options: AdoptOptions, answered: Answered, result: TokenResult): HeldToken {
  const { application, identity } = answered
  const { clock } = options
  const fingerprint = fingerprintOf(result.token)
  const expiresAt = result.sentAt + result.expireMs
  const { token: held, unconfirmedJumpMs } = application
  identity.provenFor = fingerprint
  application.lastAnsweredAt = clock.now()
  application.unconfirmedJumpMs = 0

  const isSame = held?.fingerprint === fingerprint
  if (isSame && isNear(held.expiresAt, expiresAt)) return held
  // The token lives as long as was known before the jump of the clock: only the wall clock was corrected.
  const isCorrectedClock = isSame && unconfirmedJumpMs > 0 && isNear(held.expiresAt + unconfirmedJumpMs, expiresAt)

  const recorded = isSame ? held : recordOf(identity, fingerprint)
  if (!isSame && recorded !== undefined) application.noteLifetime(recorded)
  const expiresAtWall = wholeSeconds(expiresAt + wallOffsetOf(clock))
  const isAsRecorded = recorded !== undefined && isNear(recorded.expiresAtWall, expiresAtWall)
  const adopted: HeldToken = {
    token: result.token,
    fingerprint,
    expiresAt,
    expiresAtWall: isAsRecorded ? recorded.expiresAtWall : expiresAtWall,
    issuedAtWall: recorded?.issuedAtWall ?? wholeSeconds(clock.wall()),
    lifetimeMs: application.maxExpireMs,
  }
  application.token = adopted
  // A token that is already on the targets is no renewal.
  if (!isAsRecorded && !isCorrectedClock) noteRenewal(options, answered, result.expireMs)
  options.onToken(application)
  return adopted
}

function noteRenewal({ clock, log }: AdoptOptions, { application, operation }: Answered, expireMs: number): void {
  application.lastRenewal = { atWall: wholeSeconds(clock.wall()), operation }
  const fields = { application: application.id, ...affected(new Set(application.provenMembers())), operation }
  log.info({ ...fields, lifeMs: Math.round(expireMs) }, 'token received')
}

function isNear(expiresAt: number, other: number): boolean {
  return Math.abs(expiresAt - other) <= expiryToleranceMs
}

/** Fields of a log line that lead to an object. */
export function affected(members: Pick<ReadonlyMap<ObjectKey, unknown>, 'size' | 'keys'>): {
  readonly credential: ObjectKey | undefined
  readonly members: number
} {
  const [credential] = members.keys()
  return { credential, members: members.size }
}

function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000
}

/** The record of a member about this token, or about any. */
export function recordOf({ members }: Identity, fingerprint?: string): RecordedToken | undefined {
  for (const { recorded } of members.values()) {
    if (recorded !== undefined && (fingerprint ?? recorded.fingerprint) === recorded.fingerprint) return recorded
  }
  return undefined
}
