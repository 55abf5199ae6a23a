import type { ObjectKey } from '../kubernetes/types.ts'
import type { Sensitive } from '../lib/sensitive.ts'
import { Tally } from '../lib/tally.ts'
import type { RenewalMethod } from './attempt.ts'
import { type HeldToken, renewalAt } from './schedule.ts'
import type { Failure, Operation } from './token-client.ts'

/** What a resource recorded of its token, in this process or an earlier one. Wall clock, ms. */
export interface RecordedToken {
  readonly fingerprint: string
  readonly expiresAtWall: number
  readonly issuedAtWall: number
}

/** A token that was read back from a target of ours after a restart, and has the fingerprint that was recorded. */
export interface FoundToken extends RecordedToken {
  readonly token: Sensitive
  /** Steady. */
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
  readonly wishes: {
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
  /** No attempt before this moment, steady. */
  retryAt: number
  /** When an attempt with this appSecret ended last, steady. */
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

export interface Due {
  readonly identity: Identity
  /** Steady; in the past when overdue. */
  readonly at: number
}

/** Forced renewals of one application coalesce: one in this time. */
const forcedIntervalMs = 10_000
/** A get that came too early for the new token is repeated this soon: `expire` is in whole seconds. */
const pollIntervalMs = 250
/** Verifications are drawn forward by jitter, but never closer than this. */
const shortestVerifyMs = 10_000
/** However odd a gateway's answers, attempts never come closer than this. */
const shortestIntervalMs = 1000

/**
 * The state of one application (gateway and appKey): its token, and who shares it. It says when something is due and
 * does nothing itself.
 */
export class Application {
  /** Names the application in queues and logs; says nothing of the appKey. */
  readonly id: string
  readonly gatewayUrl: string
  readonly appKey: Sensitive
  /** Whatever jitters for this application jitters by this share, in [0, 1). */
  readonly jitterShare: number
  readonly members = new Map<ObjectKey, Member>()
  token: HeldToken | undefined
  /** The largest `expire` seen, in ms. */
  longestExpireMs = 0
  lastRenewal: { readonly atWall: number; readonly method: Operation } | undefined
  lastAttemptAt = Number.NEGATIVE_INFINITY
  /** When the gateway last answered with the present token, steady; of a token taken over it has not yet. */
  lastAnsweredAt = Number.NEGATIVE_INFINITY
  lastForcedAt = Number.NEGATIVE_INFINITY
  readonly #identities: Identity[] = []

  constructor(id: string, gatewayUrl: string, appKey: Sensitive, jitterShare: number) {
    this.id = id
    this.gatewayUrl = gatewayUrl
    this.appKey = appKey
    this.jitterShare = jitterShare
  }

  /** Adds a member, or replaces what is known of it. */
  join(key: ObjectKey, membership: Membership): Member {
    const before = this.members.get(key)
    this.#forget(key)
    const identity = this.#identityOf(membership)
    const { handledRequest, takenRequest } = before ?? {}
    const member: Member = { membership, identity, handledRequest, takenRequest }
    this.members.set(key, member)
    identity.members.add(key)
    if (membership.renewRequest !== undefined && membership.renewRequest !== takenRequest) {
      identity.pending.add(key)
    }
    const { methods, renewBeforeMs, timeoutsMs, verifyEveryMs } = identity.wishes
    renewBeforeMs.add(membership.renewBeforeMs)
    methods.add(membership.renewalMethod)
    timeoutsMs.add(membership.timeoutMs)
    if (membership.verifyEveryMs !== undefined) verifyEveryMs.add(membership.verifyEveryMs)
    this.#dropUnusedIdentities()
    return member
  }

  leave(key: ObjectKey): void {
    this.#forget(key)
    this.#dropUnusedIdentities()
  }

  /**
   * Takes over a token that an earlier process got with the member's appSecret. Only members with the same appSecret
   * are given it, so a resource cannot plant a token of its own into others.
   */
  takeOver({ identity }: Member, { token, expiresAt, fingerprint, expiresAtWall, issuedAtWall }: FoundToken): void {
    if (identity.provenFor !== undefined) return
    this.noteLifetime({ expiresAtWall, issuedAtWall })
    const lifetimeMs = this.longestExpireMs
    this.token ??= { token, fingerprint, expiresAt, expiresAtWall, issuedAtWall, lifetimeMs }
    if (this.token.fingerprint === fingerprint) identity.provenFor = fingerprint
  }

  /** Whether the present token may be given to this identity. */
  isProven(identity: Identity): boolean {
    return this.token !== undefined && identity.provenFor === this.token.fingerprint
  }

  /** A token of this application was recorded with such a life. */
  noteLifetime({ expiresAtWall, issuedAtWall }: Pick<RecordedToken, 'expiresAtWall' | 'issuedAtWall'>): void {
    this.longestExpireMs = Math.max(this.longestExpireMs, expiresAtWall - issuedAtWall)
  }

  /** Members who may have the present token. */
  *provenMembers(): Generator<ObjectKey> {
    for (const identity of this.#identities) if (this.isProven(identity)) yield* identity.members
  }

  /**
   * Get where the gateway has no refresh, or every member wants it.
   * @param identity whose attempt it is
   */
  method(hasGatewayRefresh: boolean, identity?: Identity): RenewalMethod {
    if (!hasGatewayRefresh) return 'Get'
    const isGetOnly = this.#influential(identity).every(({ wishes: { methods } }) => {
      return !methods.has('Refresh') && !methods.has('Auto')
    })
    return isGetOnly ? 'Get' : 'Refresh'
  }

  /** The time allowed for a call of this identity: the longest that any of its members gives. */
  timeoutMs({ wishes }: Identity): number {
    return Math.max(...wishes.timeoutsMs.values())
  }

  /** The longest time that a call may take. */
  longestTimeoutMs(): number {
    return Math.max(0, ...this.#identities.map((identity) => this.timeoutMs(identity)))
  }

  /** When a token is renewed: the earliest that any member wants. Steady. */
  renewalAt(token: Pick<HeldToken, 'expiresAt' | 'lifetimeMs'>): number {
    let earliest = Number.POSITIVE_INFINITY
    for (const { wishes } of this.#influential()) {
      for (const window of wishes.renewBeforeMs.values()) {
        earliest = Math.min(earliest, renewalAt(token, window, this.jitterShare))
      }
    }
    return earliest
  }

  /** Whether a renewal that this identity's members ask for may be made now. */
  isForced({ pending }: Identity, now: number): boolean {
    return pending.size > 0 && now >= this.lastForcedAt + forcedIntervalMs
  }

  /** Notes that an attempt begins: it is what the members of this identity that want a renewal have asked for. */
  takeRequests(identity: Identity): void {
    for (const key of identity.pending) {
      const member = this.members.get(key)
      if (member !== undefined) member.takenRequest = member.membership.renewRequest
    }
    identity.pending.clear()
  }

  /** Notes that the attempt has ended. */
  handleRequests(identity: Identity): void {
    for (const key of identity.members) {
      const member = this.members.get(key)
      if (member !== undefined) member.handledRequest = member.takenRequest
    }
  }

  /** An outage is over: what waits out a failure that heals by itself need not wait any longer. */
  retryNow(): void {
    for (const identity of this.#identities) {
      if (identity.failure?.class === 'retry') identity.retryAt = Number.NEGATIVE_INFINITY
    }
  }

  /** The attempt that is due next. Undefined: there is nobody to make one for. */
  nextDue(method: RenewalMethod): Due | undefined {
    let next: Due | undefined
    for (const identity of this.#identities) {
      const at = this.#dueAt(identity, method)
      if (next === undefined || at < next.at) next = { identity, at }
    }
    return next
  }

  #dueAt(identity: Identity, method: RenewalMethod): number {
    const regularAt = this.#regularlyDueAt(identity, method)
    // What is asked for never puts off what is due without it.
    return identity.pending.size === 0 ? regularAt : Math.min(regularAt, this.lastForcedAt + forcedIntervalMs)
  }

  #regularlyDueAt(identity: Identity, method: RenewalMethod): number {
    const { token } = this
    if (token === undefined || !this.isProven(identity)) {
      // With a gateway that answers each get with another token, no identity stays proven.
      return Math.max(identity.retryAt, identity.lastAttemptAt + shortestIntervalMs)
    }
    const [dueAt, spacingMs] =
      method === 'Get' ? [token.expiresAt, pollIntervalMs] : [this.renewalAt(token), shortestIntervalMs]
    return Math.max(Math.min(dueAt, this.#verificationAt()), identity.retryAt, this.lastAttemptAt + spacingMs)
  }

  /**
   * Whose wishes count: of those who proved their appSecret, and of who is about to; so that who knows an appKey only can
   * neither draw renewals forward nor have the gateway asked. Before the first proof, everybody's.
   */
  #influential(trying?: Identity): readonly Identity[] {
    const some = this.#identities.filter((identity) => identity === trying || this.isProven(identity))
    return some.length === 0 ? this.#identities : some
  }

  /** When the gateway is to be asked whether the token is still the present one: as often as any member wants. */
  #verificationAt(): number {
    const everyMs = Math.min(...this.#influential().flatMap(({ wishes }) => [...wishes.verifyEveryMs.values()]))
    if (everyMs === Number.POSITIVE_INFINITY) return everyMs
    return this.lastAnsweredAt + Math.max(shortestVerifyMs, everyMs * (1 - 0.05 * this.jitterShare))
  }

  #identityOf({ appSecret, ca }: Membership): Identity {
    const known = this.#identities.find((identity) => identity.appSecret.equals(appSecret) && identity.ca === ca)
    if (known !== undefined) return known
    const identity: Identity = {
      appSecret,
      ca,
      members: new Set(),
      pending: new Set(),
      wishes: {
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
    this.#identities.push(identity)
    return identity
  }

  #forget(key: ObjectKey): void {
    const member = this.members.get(key)
    if (member === undefined) return
    this.members.delete(key)
    const { identity, membership } = member
    identity.members.delete(key)
    identity.pending.delete(key)
    const { methods, renewBeforeMs, timeoutsMs, verifyEveryMs } = identity.wishes
    renewBeforeMs.remove(membership.renewBeforeMs)
    methods.remove(membership.renewalMethod)
    timeoutsMs.remove(membership.timeoutMs)
    if (membership.verifyEveryMs !== undefined) verifyEveryMs.remove(membership.verifyEveryMs)
  }

  #dropUnusedIdentities(): void {
    for (let i = this.#identities.length - 1; i >= 0; i--) {
      if (this.#identities[i]?.members.size === 0) this.#identities.splice(i, 1)
    }
  }
}
