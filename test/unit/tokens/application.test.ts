import { beforeEach, describe, expect, it } from 'vitest'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { Application } from '../../../src/tokens/application.ts'
import type { HeldToken } from '../../../src/tokens/held-token.ts'
import type { FoundToken, Member, RecordedToken } from '../../../src/tokens/membership.ts'
import { gatewayUrl, heldToken, hourMs, marker, membership, minuteMs, now } from '../../support/builders.ts'

let application: Application

beforeEach(() => {
  application = new Application('application-1', gatewayUrl, new Sensitive(marker.appKey), 0)
})

/** Sets the state after an attempt of this member that received the token. */
function hold(member: Member, token = heldToken()): HeldToken {
  application.token = token
  application.lastAnsweredAt = now
  member.identity.provenFor = token.fingerprint
  return token
}

function recorded({ expiresAtWall, fingerprint, issuedAtWall } = heldToken()): RecordedToken {
  return { expiresAtWall, fingerprint, issuedAtWall }
}

function found({ expiresAt, expiresAtWall, fingerprint, issuedAtWall, token } = heldToken()): FoundToken {
  return { expiresAt, expiresAtWall, fingerprint, issuedAtWall, token }
}

describe('members of an application', () => {
  it('share an identity when their appSecrets are equal', () => {
    const a = application.join('ns/a', membership())
    const b = application.join('ns/b', membership())
    expect(b.identity).toBe(a.identity)
    expect([...a.identity.members.keys()]).toEqual(['ns/a', 'ns/b'])
  })

  it.each([
    ['appSecret', { appSecret: new Sensitive('another') }],
    ['CA', { ca: 'another' }],
    ['tlsServerName', { tlsServerName: 'another' }],
    ['header', { headers: new Map([['X-Key', new Sensitive('value')]]) }],
  ])('do not share an identity with another %s', (_, other) => {
    const a = application.join('ns/a', membership())
    expect(application.join('ns/b', membership(other)).identity).not.toBe(a.identity)
  })

  it.each([
    ['in any case and order', ['x-b', '2'], ['X-A', '1'], true],
    ['but not with another value', ['X-A', '1'], ['X-B', '3'], false],
    ['but not with another name', ['X-A', '1'], ['X-C', '2'], false],
    ['but not with fewer', ['X-A', '1'], undefined, false],
  ] as const)('share an identity when their headers are equal, %s', (_, first, second, expected) => {
    const headers = (...pairs: (readonly [string, string] | undefined)[]) => ({
      headers: new Map(pairs.flatMap((pair) => (pair === undefined ? [] : [[pair[0], new Sensitive(pair[1])]]))),
    })
    const a = application.join('ns/a', membership(headers(['X-A', '1'], ['X-B', '2'])))
    const b = application.join('ns/b', membership(headers(first, second)))
    expect(b.identity === a.identity).toBe(expected)
  })

  it('change their identity with their appSecret', () => {
    const before = application.join('ns/a', membership())
    const after = application.join('ns/a', membership({ appSecret: new Sensitive('rotated') }))
    expect(after.identity).not.toBe(before.identity)
    expect(before.identity.members.size).toBe(0)
    expect(application.members.size).toBe(1)
  })

  it('leave no identity behind', () => {
    const a = application.join('ns/a', membership())
    application.leave('ns/a')
    expect(application.members.size).toBe(0)
    expect(application.nextDue('Refresh')).toBeUndefined()
    expect(application.join('ns/b', membership()).identity).not.toBe(a.identity)
  })

  it('may leave without having joined', () => {
    application.join('ns/a', membership())
    application.leave('ns/b')
    expect(application.members.size).toBe(1)
  })
})

describe('the proof of an appSecret', () => {
  it('gives the token to all members with the same appSecret', () => {
    const a = application.join('ns/a', membership())
    hold(a)
    expect(application.isProven(application.join('ns/b', membership()).identity)).toBe(true)
  })

  it('gives no token to a member with the appKey only', () => {
    hold(application.join('ns/a', membership()))
    const thief = application.join('ns/thief', membership({ appSecret: new Sensitive('guessed') }))
    expect(application.isProven(thief.identity)).toBe(false)
    expect(application.nextDue('Refresh')).toEqual({ identity: thief.identity, at: Number.NEGATIVE_INFINITY })
  })

  it('is needed for each token', () => {
    const a = application.join('ns/a', membership())
    hold(a)
    application.token = heldToken({ value: 'another' })
    expect(application.isProven(a.identity)).toBe(false)
  })

  it('is tried at most once a second by an identity that lost it', () => {
    const a = application.join('ns/a', membership())
    hold(a)
    a.identity.lastAttemptAt = now
    application.token = heldToken({ value: 'another' })
    expect(application.nextDue('Refresh')).toEqual({ identity: a.identity, at: now + 1000 })
  })

  it('does not exist without a token', () => {
    const { identity } = application.join('ns/a', membership())
    expect(application.isProven(identity)).toBe(false)
  })
})

describe('takeOver', () => {
  it('makes a found token the application’s, without a call', () => {
    const member = application.join('ns/a', membership({ recorded: recorded() }))
    application.takeOver(member, found())
    expect(application.token?.token.reveal()).toBe(marker.token)
    expect(application.token?.lifetimeMs).toBe(2 * hourMs)
    expect(application.isProven(member.identity)).toBe(true)
    expect(application.lastRenewal).toBeUndefined()
  })

  it('proves members with the same appSecret only', () => {
    const a = application.join('ns/a', membership())
    const b = application.join('ns/b', membership())
    const other = application.join('ns/c', membership({ appSecret: new Sensitive('another') }))
    application.takeOver(a, found())
    expect(application.isProven(b.identity)).toBe(true)
    expect(application.isProven(other.identity)).toBe(false)
  })

  it('does not replace a token', () => {
    const token = hold(application.join('ns/a', membership()))
    const planter = application.join('ns/planter', membership({ appSecret: new Sensitive('own') }))
    application.takeOver(planter, found(heldToken({ value: 'planted' })))
    expect(application.token).toBe(token)
    expect(application.isProven(planter.identity)).toBe(false)
  })

  it('does not give a token to a member that has made a call', () => {
    const member = application.join('ns/a', membership())
    member.identity.provenFor = 'something'
    application.takeOver(member, found())
    expect(application.token).toBeUndefined()
  })
})

describe('renewalAt', () => {
  it('is the earliest that any member wants', () => {
    application.join('ns/a', membership({ renewBeforeMs: 10 * minuteMs }))
    application.join('ns/b', membership({ renewBeforeMs: 40 * minuteMs }))
    application.join('ns/c', membership())
    expect(application.renewalAt(heldToken(), 'Refresh')).toBe(now + 20 * minuteMs)
    application.leave('ns/b')
    expect(application.renewalAt(heldToken(), 'Refresh')).toBe(now + 36 * minuteMs)
  })

  it('follows a changed membership', () => {
    application.join('ns/a', membership({ renewBeforeMs: 40 * minuteMs }))
    application.join('ns/a', membership({ renewBeforeMs: 10 * minuteMs }))
    expect(application.renewalAt(heldToken(), 'Refresh')).toBe(now + 50 * minuteMs)
  })

  it('is made earlier by the application’s own jitter', () => {
    application = new Application('application-1', gatewayUrl, new Sensitive(marker.appKey), 0.5)
    application.join('ns/a', membership({ renewBeforeMs: 10 * minuteMs }))
    expect(application.renewalAt(heldToken(), 'Refresh')).toBe(now + 47 * minuteMs)
  })
})

describe('method and timeout', () => {
  it.each([
    [['Auto'], true, 'Refresh'],
    [['Auto'], false, 'Get'],
    [['Get'], true, 'Get'],
    [['Refresh'], false, 'Get'],
    [['Get', 'Auto'], true, 'Refresh'],
    [['Get', 'Auto'], false, 'Get'],
    [['Get', 'Refresh'], false, 'Get'],
  ] as const)('members that want %s, on a gateway with refresh (%s), have %s', (wanted, hasRefresh, method) => {
    wanted.forEach((renewalMethod, at) => application.join(`ns/${at}`, membership({ renewalMethod })))
    expect(application.method(hasRefresh)).toBe(method)
  })

  it('the timeout of a call is the maximum of the members', () => {
    const { identity } = application.join('ns/a', membership({ timeoutMs: 1000 }))
    application.join('ns/b', membership({ timeoutMs: 20_000 }))
    expect(application.timeoutMs(identity)).toBe(20_000)
    application.leave('ns/b')
    expect(application.timeoutMs(identity)).toBe(1000)
  })
})

describe('a member without proof', () => {
  const stranger = { appSecret: new Sensitive('guessed') }

  it('makes no renewal earlier, and causes no verification', () => {
    hold(application.join('ns/a', membership({ renewBeforeMs: 10 * minuteMs, verifyEveryMs: undefined })))
    const preferences = { renewBeforeMs: 30 * minuteMs, verifyEveryMs: 10_000 }
    const { identity } = application.join('ns/stranger', membership({ ...stranger, ...preferences }))
    identity.retryAt = now + 10 * hourMs
    expect(application.renewalAt(heldToken(), 'Refresh')).toBe(now + 50 * minuteMs)
    expect(application.nextDue('Refresh')?.at).toBe(now + 50 * minuteMs)
  })

  it('changes neither the method nor the timeout of others', () => {
    const honest = application.join('ns/a', membership({ renewalMethod: 'Get', timeoutMs: 1000 }))
    hold(honest)
    application.join('ns/stranger', membership({ ...stranger, renewalMethod: 'Refresh', timeoutMs: 300_000 }))
    expect(application.method(true)).toBe('Get')
    expect(application.timeoutMs(honest.identity)).toBe(1000)
  })

  it('uses its own preferences in its own attempt', () => {
    hold(application.join('ns/a', membership({ renewalMethod: 'Get' })))
    const { identity } = application.join('ns/b', membership({ ca: 'another', renewalMethod: 'Refresh' }))
    expect(application.method(true, identity)).toBe('Refresh')
  })
})

describe('the lifetime of an application’s tokens', () => {
  it('is that of a token taken over', () => {
    application.takeOver(application.join('ns/a', membership({ recorded: recorded() })), found())
    expect(application.maxExpireMs).toBe(2 * hourMs)
  })

  it('is counted from the last refresh of a prolonged token', () => {
    const prolongedAtWall = found().expiresAtWall - hourMs
    application.takeOver(application.join('ns/a', membership()), { ...found(), prolongedAtWall })
    expect(application.maxExpireMs).toBe(hourMs)
  })

  it('ignores the record of another token, which may be another application’s', () => {
    application.join('ns/a', membership({ recorded: recorded() }))
    expect(application.maxExpireMs).toBe(0)
  })
})

describe('nextDue', () => {
  it('is in the past without a token', () => {
    const { identity } = application.join('ns/a', membership())
    expect(application.nextDue('Refresh')).toEqual({ identity, at: Number.NEGATIVE_INFINITY })
  })

  it('waits for the backoff of a failure', () => {
    const { identity } = application.join('ns/a', membership())
    identity.retryAt = now + 5000
    expect(application.nextDue('Refresh')?.at).toBe(now + 5000)
  })

  it('is not delayed by another identity that failed', () => {
    const bad = application.join('ns/bad', membership({ appSecret: new Sensitive('wrong') }))
    bad.identity.retryAt = now + 2 * hourMs
    hold(application.join('ns/a', membership()))
    expect(application.nextDue('Refresh')?.at).toBe(now + 36 * minuteMs)
  })

  it('is in the renewal window with method Refresh, at expiry with method Get', () => {
    hold(application.join('ns/a', membership()))
    expect(application.nextDue('Refresh')?.at).toBe(now + 36 * minuteMs)
    expect(application.nextDue('Get')?.at).toBe(now + hourMs)
  })

  it('polls every 250 ms with method Get once the token has expired', () => {
    hold(application.join('ns/a', membership()), heldToken({ expiresAt: now - 1 }))
    application.lastAttemptAt = now
    expect(application.nextDue('Get')?.at).toBe(now + 250)
  })

  it('is never closer than a second with method Refresh', () => {
    hold(application.join('ns/a', membership()), heldToken({ expiresAt: now - 1 }))
    application.lastAttemptAt = now
    expect(application.nextDue('Refresh')?.at).toBe(now + 1000)
  })
})

describe('a renewal request', () => {
  it('is due at once after 10 s without one', () => {
    const member = application.join('ns/a', membership({ renewRequest: '1' }))
    hold(member)
    expect(application.nextDue('Refresh')?.at).toBe(Number.NEGATIVE_INFINITY)
  })

  it('delays neither a regular renewal nor a first token', () => {
    const member = application.join('ns/a', membership({ renewRequest: 'now' }))
    application.lastForcedAt = now
    expect(application.nextDue('Refresh')?.at).toBe(Number.NEGATIVE_INFINITY)
    hold(member, heldToken({ expiresAt: now + 4000, lifetimeMs: 4000 }))
    expect(application.nextDue('Refresh')?.at).toBe(now + 2000)
    expect(application.isForced(member.identity, now + 2000)).toBe(false)
    expect(application.isForced(member.identity, now + 10_000)).toBe(true)
  })

  it('coalesces with others of the application to one in 10 s', () => {
    hold(application.join('ns/a', membership({ renewRequest: '1' })))
    application.join('ns/b', membership({ renewRequest: '7' }))
    application.lastForcedAt = now
    expect(application.nextDue('Refresh')?.at).toBe(now + 10_000)
  })

  it('is taken for all members of the identity at once', () => {
    const a = application.join('ns/a', membership({ renewRequest: '1' }))
    const b = application.join('ns/b', membership({ renewRequest: '7' }))
    application.takeRequests(a.identity)
    expect(a.identity.pending.size).toBe(0)
    // The attempt is under way.
    expect([a.handledRequest, b.handledRequest]).toEqual([undefined, undefined])
    application.handleRequests(a.identity)
    expect([a.handledRequest, b.handledRequest]).toEqual(['1', '7'])
  })

  it('is not taken again when the member joins again with the same value', () => {
    const before = application.join('ns/a', membership({ renewRequest: '1' }))
    application.takeRequests(before.identity)
    application.handleRequests(before.identity)
    const after = application.join('ns/a', membership({ renewRequest: '1', timeoutMs: 1 }))
    expect(after.handledRequest).toBe('1')
    expect(after.identity.pending.size).toBe(0)
    expect(application.join('ns/a', membership({ renewRequest: '2' })).identity.pending.size).toBe(1)
  })

  it('ends when the member leaves', () => {
    const { identity } = application.join('ns/a', membership({ renewRequest: '1' }))
    application.join('ns/b', membership())
    application.leave('ns/a')
    expect(identity.pending.size).toBe(0)
  })
})

describe('verification', () => {
  it('is due at the shortest interval of any member', () => {
    hold(application.join('ns/a', membership({ verifyEveryMs: 20 * minuteMs })))
    application.join('ns/b', membership({ verifyEveryMs: 5 * minuteMs }))
    expect(application.nextDue('Refresh')?.at).toBe(now + 5 * minuteMs)
    application.leave('ns/b')
    expect(application.nextDue('Refresh')?.at).toBe(now + 20 * minuteMs)
  })

  it('does not delay a renewal', () => {
    hold(application.join('ns/a', membership({ verifyEveryMs: 10 * hourMs })))
    expect(application.nextDue('Refresh')?.at).toBe(now + 36 * minuteMs)
  })

  it('is never closer than 10 s, jitter included', () => {
    application = new Application('application-1', gatewayUrl, new Sensitive(marker.appKey), 0.99)
    hold(application.join('ns/a', membership({ verifyEveryMs: 10_000 })))
    expect(application.nextDue('Refresh')?.at).toBe(now + 10_000)
    application.join('ns/a', membership({ verifyEveryMs: 100_000 }))
    expect(application.nextDue('Refresh')?.at).toBe(now + 95_050)
  })
})

describe('onClockJump', () => {
  it('brings the renewal nearer, and the expiry of the token, but not its published expiry', () => {
    const before = hold(application.join('ns/a', membership()))
    application.onClockJump(10 * minuteMs)
    expect(application.nextDue('Refresh')?.at).toBe(now + 26 * minuteMs)
    expect(application.token).toEqual({ ...before, expiresAt: before.expiresAt - 10 * minuteMs })
  })

  it.each([
    ['the verification', { verifyEveryMs: 20 * minuteMs }, () => undefined, 10 * minuteMs],
    ['the end of backoff', {}, ({ identity }: Member) => (identity.retryAt = now + 50 * minuteMs), 40 * minuteMs],
  ])('brings %s nearer', (_, wanted, change, expectedMs) => {
    const member = application.join('ns/a', membership(wanted))
    hold(member)
    change(member)
    application.onClockJump(10 * minuteMs)
    expect(application.nextDue('Refresh')?.at).toBe(now + expectedMs)
  })

  it('adds up jumps until an answer', () => {
    hold(application.join('ns/a', membership()))
    application.onClockJump(10_000)
    application.onClockJump(20_000)
    expect(application.unconfirmedJumpMs).toBe(30_000)
  })
})
