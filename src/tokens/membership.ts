import type { Failure } from '../enos/failure.ts'
import type { ObjectKey } from '../kubernetes/types.ts'
import type { Sensitive } from '../lib/sensitive.ts'
import { SmallMap } from '../lib/small-map.ts'
import type { Caller } from './caller.ts'
import type { RenewalMethod } from './renewal-rule.ts'

/** A token that the status of a resource records, from this process or an earlier one. Wall clock, ms. */
export interface RecordedToken {
  readonly fingerprint: string
  readonly expiresAtWall: number
  readonly issuedAtWall: number
  /** When a refresh last prolonged the same token. */
  readonly prolongedAtWall?: number
}

/** A token that was read from an own target after a restart, and has the recorded fingerprint. */
export interface FoundToken extends RecordedToken {
  readonly token: Sensitive
  /** Monotonic clock. */
  readonly expiresAt: number
}

/** How a resource wants its token to be renewed. */
export interface Preferences {
  readonly renewBeforeMs: number | undefined
  readonly renewalMethod: 'Auto' | RenewalMethod
  /** Of one call to the gateway. */
  readonly timeoutMs: number
  /** How often get verifies the token. */
  readonly verifyEveryMs: number | undefined
}

/** What a resource contributes to an application. */
export interface Membership extends Caller, Preferences {
  /** Normalised. */
  readonly gatewayUrl: string
  readonly appKey: Sensitive
  /** The token that the member's targets hold. */
  readonly recorded: RecordedToken | undefined
  /** Whether the member ever had a token: without `recorded`, the token that get answers may be that one. */
  readonly hasHadToken: boolean
  /** A renewal request that was not yet tried. */
  readonly renewRequest: string | undefined
}

/**
 * The members of one application that make the same calls: with the same appSecret, CA, tlsServerName and headers. Only
 * an identity whose own get answered the present token is given that token, so that an appKey alone yields nothing, and
 * a call carries the secrets of no other member.
 */
export interface Identity extends Caller {
  readonly members: SmallMap<ObjectKey, Membership>
  /** The renewal requests that were not yet tried, by member. */
  readonly pending: SmallMap<ObjectKey, string>
  /** The different preferences of its members, most often one, each with the number of members that have it. */
  readonly preferences: SmallMap<Preferences, number>
  /** Fingerprint of the token that this identity's last call answered. */
  provenFor: string | undefined
  /** Consecutive attempts that failed. */
  failures: number
  failure: Failure | undefined
  /** No attempt before this moment, monotonic clock. */
  retryAt: number
  /** The end of this identity's last attempt, monotonic clock. */
  lastAttemptAt: number
}

export interface Member {
  readonly membership: Membership
  readonly identity: Identity
  /** The last renewal request that an attempt took up. */
  takenRequest: string | undefined
  /** The last one of which the attempt has ended, whatever came of it. */
  handledRequest: string | undefined
}

/** An identity without members. */
export function newIdentity({ appSecret, ca, headers, tlsServerName }: Caller): Identity {
  return {
    appSecret,
    ca,
    tlsServerName,
    headers,
    members: new SmallMap(),
    pending: new SmallMap(),
    preferences: new SmallMap(),
    provenFor: undefined,
    failures: 0,
    failure: undefined,
    retryAt: Number.NEGATIVE_INFINITY,
    lastAttemptAt: Number.NEGATIVE_INFINITY,
  }
}

export function addMember({ members, preferences }: Identity, key: ObjectKey, membership: Membership): void {
  members.set(key, membership)
  const { renewBeforeMs, renewalMethod, timeoutMs, verifyEveryMs } = membership
  const known = findSame(preferences, membership) ?? { renewBeforeMs, renewalMethod, timeoutMs, verifyEveryMs }
  preferences.set(known, (preferences.get(known) ?? 0) + 1)
}

export function removeMember(
  { members, pending, preferences }: Identity,
  key: ObjectKey,
  membership: Membership,
): void {
  members.delete(key)
  pending.delete(key)
  const known = findSame(preferences, membership)
  if (known === undefined) return
  const count = preferences.get(known) ?? 0
  if (count > 1) preferences.set(known, count - 1)
  else preferences.delete(known)
}

function findSame(preferences: Identity['preferences'], wanted: Preferences): Preferences | undefined {
  return [...preferences.keys()].find(
    (one) =>
      one.renewBeforeMs === wanted.renewBeforeMs &&
      one.renewalMethod === wanted.renewalMethod &&
      one.timeoutMs === wanted.timeoutMs &&
      one.verifyEveryMs === wanted.verifyEveryMs,
  )
}
