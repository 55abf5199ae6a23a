import type { Operation } from '../enos/operation.ts'
import type { ObjectKey } from '../kubernetes/types.ts'
import type { Sensitive } from '../lib/sensitive.ts'
import { SmallMap } from '../lib/small-map.ts'
import { isSameCaller } from './caller.ts'
import type { HeldToken } from './held-token.ts'
import {
  addMember,
  type FoundToken,
  type Identity,
  type Member,
  type Membership,
  newIdentity,
  type Preferences,
  type RecordedToken,
  removeMember,
} from './membership.ts'
import { dueAt, isForced, renewalAt, type RenewalMethod, type RenewalTerms, type TokenLife } from './renewal-rule.ts'

export interface Due {
  readonly identity: Identity
  /** Monotonic clock; in the past when overdue. */
  readonly at: number
}

/** The state of one application (gateway and appKey): its token and its members. Makes no call. */
export class Application {
  /** Name of the application in queues and logs; tells nothing about the appKey. */
  readonly id: string
  readonly gatewayUrl: string
  readonly appKey: Sensitive
  /** The application's share of all jitter, in [0, 1). */
  readonly jitterShare: number
  /** A member stays until `leave`. */
  readonly members = new SmallMap<ObjectKey, Member>()
  token: HeldToken | undefined
  /** The largest `expire` seen, in ms. */
  maxExpireMs = 0
  lastRenewal: { readonly atWall: number; readonly operation: Operation } | undefined
  lastAttemptAt = Number.NEGATIVE_INFINITY
  /** When the gateway last answered with the present token, monotonic clock; -Infinity for a token taken over. */
  lastAnsweredAt = Number.NEGATIVE_INFINITY
  lastForcedAt = Number.NEGATIVE_INFINITY
  /** Sum of the jumps of the clock since the gateway's last answer, in ms. */
  unconfirmedJumpMs = 0
  /** At most as many as members. */
  #identities: readonly Identity[] = []

  constructor(id: string, gatewayUrl: string, appKey: Sensitive, jitterShare: number) {
    this.id = id
    this.gatewayUrl = gatewayUrl
    this.appKey = appKey
    this.jitterShare = jitterShare
  }

  /** Adds a member, or replaces its membership. */
  join(key: ObjectKey, membership: Membership): Member {
    const before = this.members.get(key)
    this.#forget(key)
    const identity = this.#identityOf(membership)
    const { handledRequest, takenRequest } = before ?? {}
    const member: Member = { membership, identity, handledRequest, takenRequest }
    this.members.set(key, member)
    addMember(identity, key, membership)
    if (membership.renewRequest !== undefined && membership.renewRequest !== takenRequest) {
      identity.pending.set(key, membership.renewRequest)
    }
    this.#dropUnusedIdentities()
    return member
  }

  leave(key: ObjectKey): void {
    this.#forget(key)
    this.#dropUnusedIdentities()
  }

  /**
   * Takes over a token that an earlier process got with the member's appSecret. It is proven for members with the same
   * appSecret only, so that a resource cannot plant a token of its own into others.
   *
   * @returns whether members with this appSecret have a token by it
   */
  takeOver({ identity }: Member, found: FoundToken): boolean {
    if (identity.provenFor !== undefined) return false
    this.noteLifetime(found)
    const { token, expiresAt, fingerprint, expiresAtWall, issuedAtWall } = found
    const lifetimeMs = this.maxExpireMs
    this.token ??= { token, fingerprint, expiresAt, expiresAtWall, issuedAtWall, lifetimeMs }
    if (this.token.fingerprint !== fingerprint) return false
    identity.provenFor = fingerprint
    return true
  }

  /** Whether the present token may be given to this identity. */
  isProven(identity: Identity): boolean {
    return this.token !== undefined && identity.provenFor === this.token.fingerprint
  }

  /** Takes the lifetime of a recorded token of this application into account. */
  noteLifetime({
    expiresAtWall,
    issuedAtWall,
    prolongedAtWall = issuedAtWall,
  }: Omit<RecordedToken, 'fingerprint'>): void {
    this.maxExpireMs = Math.max(this.maxExpireMs, expiresAtWall - prolongedAtWall)
  }

  /** Members for which the present token is proven. */
  *provenMembers(): Generator<ObjectKey> {
    for (const identity of this.#identities) if (this.isProven(identity)) yield* identity.members.keys()
  }

  /**
   * The method in force: Get when the gateway has no refresh, or every member chose Get.
   * @param identity of the attempt, whose members count too
   */
  method(hasGatewayRefresh: boolean, identity?: Identity): RenewalMethod {
    if (!hasGatewayRefresh) return 'Get'
    const isGetOnly = this.#entitled(identity).every(({ renewalMethod }) => renewalMethod === 'Get')
    return isGetOnly ? 'Get' : 'Refresh'
  }

  /** The timeout of a call of this identity: the maximum of its members. */
  timeoutMs({ preferences }: Identity): number {
    return Math.max(...[...preferences.keys()].map(({ timeoutMs }) => timeoutMs))
  }

  /** The maximum timeout of all identities. */
  maxTimeoutMs(): number {
    return Math.max(0, ...this.#identities.map((identity) => this.timeoutMs(identity)))
  }

  /** When a token is due for renewal, monotonic clock. */
  renewalAt(token: TokenLife, method: RenewalMethod): number {
    return renewalAt(token, this.#terms(method))
  }

  /** Whether an attempt of this identity at this moment is one that its members asked for. */
  isForced({ pending }: Identity, now: number): boolean {
    return isForced({ isRequested: pending.size > 0, lastForcedAt: this.lastForcedAt }, now)
  }

  /** An attempt begins: it takes the requests of this identity's members. */
  takeRequests(identity: Identity): void {
    for (const [key, request] of identity.pending) {
      const member = this.members.get(key)
      if (member !== undefined) member.takenRequest = request
    }
    identity.pending.clear()
  }

  /** Whether a member of this identity ever had a token. */
  hasHadToken({ members }: Identity): boolean {
    return [...members.values()].some(({ hasHadToken }) => hasHadToken)
  }

  /** The attempt has ended: the requests that it took are handled, whatever came of it. */
  handleRequests(identity: Identity): void {
    for (const key of identity.members.keys()) {
      const member = this.members.get(key)
      if (member !== undefined) member.handledRequest = member.takenRequest
    }
  }

  /** An outage is over: ends the backoff of failures that heal by themselves. */
  retryNow(): void {
    for (const identity of this.#identities) {
      if (identity.failure?.class === 'retry') identity.retryAt = Number.NEGATIVE_INFINITY
    }
  }

  /**
   * The wall clock jumped ahead of the monotonic clock: that much time may have passed, so every deadline comes nearer
   * by it. If only a clock was corrected, the next get shows that the token lives longer.
   */
  onClockJump(jumpMs: number): void {
    if (this.token !== undefined) {
      this.token = { ...this.token, expiresAt: this.token.expiresAt - jumpMs }
      this.unconfirmedJumpMs += jumpMs
    }
    this.lastAttemptAt -= jumpMs
    this.lastAnsweredAt -= jumpMs
    this.lastForcedAt -= jumpMs
    for (const identity of this.#identities) {
      identity.retryAt -= jumpMs
      identity.lastAttemptAt -= jumpMs
    }
  }

  /** The attempt that is due next; undefined: there are no members. */
  nextDue(method: RenewalMethod): Due | undefined {
    const terms = this.#terms(method)
    let next: Due | undefined
    for (const identity of this.#identities) {
      const at = this.#dueAt(identity, terms)
      if (next === undefined || at < next.at) next = { identity, at }
    }
    return next
  }

  #dueAt(identity: Identity, terms: RenewalTerms): number {
    const { lastAnsweredAt, lastAttemptAt, lastForcedAt } = this
    const state = {
      token: this.isProven(identity) ? this.token : undefined,
      lastAnsweredAt,
      lastAttemptAt,
      lastOwnAttemptAt: identity.lastAttemptAt,
      lastForcedAt,
      hasFailed: identity.failure !== undefined,
      retryAt: identity.retryAt,
      isRequested: identity.pending.size > 0,
    }
    return dueAt(state, terms)
  }

  #terms(method: RenewalMethod): RenewalTerms {
    const entitled = this.#entitled()
    return {
      method,
      renewBeforeMs: entitled.map(({ renewBeforeMs }) => renewBeforeMs),
      verifyEveryMs: entitled.flatMap(({ verifyEveryMs }) => verifyEveryMs ?? []),
      jitterShare: this.jitterShare,
    }
  }

  /**
   * The preferences that count: those of identities that are proven, and of the one that is trying. A resource that
   * knows an appKey only can neither make renewals earlier nor cause verifications. Before the first proof, all count.
   */
  #entitled(trying?: Identity): Preferences[] {
    const isEntitled = (identity: Identity): boolean => identity === trying || this.isProven(identity)
    const isAnyEntitled = this.#identities.some(isEntitled)
    const entitled: Preferences[] = []
    for (const identity of this.#identities) {
      if (!isAnyEntitled || isEntitled(identity)) entitled.push(...identity.preferences.keys())
    }
    return entitled
  }

  #identityOf(membership: Membership): Identity {
    const known = this.#identities.find((identity) => isSameCaller(identity, membership))
    if (known !== undefined) return known
    const identity = newIdentity(membership)
    // A push, or a list literal with a spread, would make room for 16 more.
    this.#identities = this.#identities.concat(identity)
    return identity
  }

  #forget(key: ObjectKey): void {
    const member = this.members.get(key)
    if (member === undefined) return
    this.members.delete(key)
    removeMember(member.identity, key, member.membership)
  }

  #dropUnusedIdentities(): void {
    if (this.#identities.every(({ members }) => members.size > 0)) return
    this.#identities = this.#identities.filter(({ members }) => members.size > 0)
  }
}
