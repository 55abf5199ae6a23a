import type { ObjectKey } from '../kubernetes/types.ts'
import type { Sensitive } from '../lib/sensitive.ts'
import { Tally } from '../lib/tally.ts'
import type { RenewalMethod } from './renewal-rule.ts'
import type { Failure } from '../enos/failure.ts'

/** What a resource recorded of its token, in this process or an earlier one. Wall clock, ms. */
export interface RecordedToken {
  readonly fingerprint: string
  readonly expiresAtWall: number
  readonly issuedAtWall: number
  /** When a refresh last prolonged it, where that answered the same token. */
  readonly prolongedAtWall?: number
}

/** A token that was read back from a target of ours after a restart, and has the fingerprint that was recorded. */
export interface FoundToken extends RecordedToken {
  readonly token: Sensitive
  /** Monotonic clock. */
  readonly expiresAt: number
}

/** A resource's stake in an application. */
export interface Membership {
  /** Normalised. */
  readonly gatewayUrl: string
  readonly appKey: Sensitive
  readonly appSecret: Sensitive
  readonly renewBeforeMs: number | undefined
  readonly renewalMethod: 'Auto' | RenewalMethod
  /** Of one call to the gateway. */
  readonly timeoutMs: number
  /** CA certificates (PEM) to trust besides the system's. */
  readonly ca: string | undefined
  /** Ask the gateway this often whether the token is still the present one. */
  readonly verifyEveryMs: number | undefined
  /** The token that the member's targets hold. */
  readonly recorded: RecordedToken | undefined
  /** A renewal that was asked for and not yet tried. */
  readonly renewRequest: string | undefined
}

/**
 * All that is known of one appSecret of an application. Members with the same appSecret (and the same idea of whom to
 * trust) share an identity, and only an identity whose own get answered the present token is given that token: who knows
 * an appKey alone gets nothing.
 */
export interface Identity {
  readonly appSecret: Sensitive
  readonly ca: string | undefined
  readonly members: Set<ObjectKey>
  /** Members that ask for a renewal which was not yet tried. */
  readonly pending: Set<ObjectKey>
  /** What its members want, each value as often as it is wanted. */
  readonly preferences: {
    readonly renewBeforeMs: Tally<number | undefined>
    readonly methods: Tally<Membership['renewalMethod']>
    readonly timeoutsMs: Tally<number>
    readonly verifyEveryMs: Tally<number>
  }
  /** Fingerprint of the token that a call with this appSecret answered last. */
  provenFor: string | undefined
  /** Consecutive attempts that failed. */
  failures: number
  failure: Failure | undefined
  /** No attempt before this moment, monotonic clock. */
  retryAt: number
  /** When an attempt with this appSecret ended last, monotonic clock. */
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
export function newIdentity({ appSecret, ca }: Membership): Identity {
  return {
    appSecret,
    ca,
    members: new Set(),
    pending: new Set(),
    preferences: {
      renewBeforeMs: new Tally(),
      methods: new Tally(),
      timeoutsMs: new Tally(),
      verifyEveryMs: new Tally(),
    },
    provenFor: undefined,
    failures: 0,
    failure: undefined,
    retryAt: Number.NEGATIVE_INFINITY,
    lastAttemptAt: Number.NEGATIVE_INFINITY,
  }
}

export function addMember({ members, preferences }: Identity, key: ObjectKey, membership: Membership): void {
  members.add(key)
  preferences.renewBeforeMs.add(membership.renewBeforeMs)
  preferences.methods.add(membership.renewalMethod)
  preferences.timeoutsMs.add(membership.timeoutMs)
  if (membership.verifyEveryMs !== undefined) preferences.verifyEveryMs.add(membership.verifyEveryMs)
}

export function removeMember(
  { members, pending, preferences }: Identity,
  key: ObjectKey,
  membership: Membership,
): void {
  members.delete(key)
  pending.delete(key)
  preferences.renewBeforeMs.remove(membership.renewBeforeMs)
  preferences.methods.remove(membership.renewalMethod)
  preferences.timeoutsMs.remove(membership.timeoutMs)
  if (membership.verifyEveryMs !== undefined) preferences.verifyEveryMs.remove(membership.verifyEveryMs)
}
