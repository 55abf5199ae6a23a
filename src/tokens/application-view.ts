import type { Failure } from '../enos/failure.ts'
import type { Operation } from '../enos/operation.ts'
import type { ObjectKey } from '../kubernetes/types.ts'
import type { Application } from './application.ts'
import type { HeldToken } from './held-token.ts'
import type { Member, Membership } from './membership.ts'
import { isClamped, type RenewalMethod } from './renewal-rule.ts'

/** What a member sees of its application. */
export interface ApplicationView {
  /** The present token, if it is proven for the member's appSecret; it may have expired. */
  readonly token: HeldToken | undefined
  /** When the token is due for renewal, wall clock. */
  readonly renewalAtWall: number | undefined
  readonly method: RenewalMethod
  /** The gateway answered 404 or 405 to refresh. */
  readonly isRefreshMissing: boolean
  /** The member's renewBefore is more than half of the lifetime. */
  readonly isClamped: boolean
  /** Why the last attempt failed; undefined when it did not, or there was none. */
  readonly failure: Failure | undefined
  /** Consecutive failed attempts. */
  readonly failures: number
  readonly lastRenewal: { readonly atWall: number; readonly operation: Operation } | undefined
  /** The last renewal request of the member that was tried. */
  readonly handledRequest: string | undefined
  readonly memberCount: number
}

export function viewOf(
  application: Application,
  key: ObjectKey,
  method: RenewalMethod,
  isRefreshMissing: boolean,
): ApplicationView {
  const member = memberOf(application, key)
  const { identity, membership } = member
  const token = application.isProven(identity) ? application.token : undefined
  return {
    token,
    renewalAtWall: token === undefined ? undefined : wallOf(token, application.renewalAt(token, method)),
    method,
    isRefreshMissing,
    isClamped: token !== undefined && isClamped(token.lifetimeMs, membership.renewBeforeMs),
    ...attemptsOf(application, member, isRefreshMissing),
    lastRenewal: token === undefined ? undefined : application.lastRenewal,
    handledRequest: member.handledRequest,
    memberCount: application.members.size,
  }
}

/** The part of a view that the metrics of each resource need: the rest takes ten times as long. */
export type Attempts = Pick<ApplicationView, 'failure' | 'failures'>

export function attemptsOf(
  { gatewayUrl }: Application,
  { identity, membership }: Member,
  isRefreshMissing: boolean,
): Attempts {
  const refreshFailure = isRefreshMissing ? refreshRequired(gatewayUrl, membership) : undefined
  return { failure: identity.failure ?? refreshFailure, failures: identity.failures }
}

export function memberOf(application: Application, key: ObjectKey): Member {
  const member = application.members.get(key)
  if (member === undefined) throw new Error(`${key} is no member of ${application.id}`)
  return member
}

/** A monotonic time on the wall clock, in whole seconds. Counted from the published expiry, so that it never drifts. */
function wallOf(token: HeldToken, at: number): number {
  return Math.floor((token.expiresAtWall - (token.expiresAt - at)) / 1000) * 1000
}

/** The failure of a member with renewalMethod Refresh at a gateway without refresh; its token is renewed by get. */
function refreshRequired(gatewayUrl: string, { renewalMethod }: Membership): Failure | undefined {
  if (renewalMethod !== 'Refresh') return undefined
  const message = `${gatewayUrl} has no refresh (HTTP 404 or 405), and spec.renewalMethod is Refresh: set it to Auto or Get`
  return { class: 'userMustAct', reason: 'RefreshNotSupported', message }
}
