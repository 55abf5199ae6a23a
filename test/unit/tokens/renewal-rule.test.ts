import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Operation } from '../../../src/enos/operation.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import {
  type AttemptProgress,
  defaultWindowMs,
  dueAt,
  isClamped,
  isForced,
  jitterShareOf,
  nextCall,
  renewalAt,
  type RenewalState,
  type RenewalTerms,
  windowMs,
} from '../../../src/tokens/renewal-rule.ts'
import { heldToken, minuteMs, now } from '../../support/builders.ts'

const token = heldToken()

const lifetimes = fc.integer({ min: 0, max: 30 * 24 * 60 * minuteMs })
const shares = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

function terms(overrides: Partial<RenewalTerms> = {}): RenewalTerms {
  return { method: 'Refresh', renewBeforeMs: [undefined], verifyEveryMs: [], jitterShare: 0, ...overrides }
}

/** A proven token of two hours with one hour left, and nothing else. */
function state(overrides: Partial<RenewalState> = {}): RenewalState {
  return {
    token,
    lastAnsweredAt: now,
    lastAttemptAt: Number.NEGATIVE_INFINITY,
    lastOwnAttemptAt: Number.NEGATIVE_INFINITY,
    lastForcedAt: Number.NEGATIVE_INFINITY,
    hasFailed: false,
    retryAt: Number.NEGATIVE_INFINITY,
    isRequested: false,
    ...overrides,
  }
}

function attempt(overrides: Partial<AttemptProgress> = {}): AttemptProgress {
  return {
    method: 'Refresh',
    isForced: false,
    heldFingerprint: token.fingerprint,
    isHeldTokenLost: false,
    answered: undefined,
    answeredRenewalAt: Number.POSITIVE_INFINITY,
    hasRefreshed: false,
    refusedRefreshes: 0,
    ...overrides,
  }
}

/** Get answered a token that is inside its window. */
const isDue = { answered: token, answeredRenewalAt: now }
/** Get answered a token that is not due. */
const isNotDue = { answered: token, answeredRenewalAt: now + 1 }

describe('the renewal window', () => {
  it.each([
    [7200, 1440],
    [86_400, 17_280],
    [3600, 720],
    [3000, 600],
    [1800, 600],
    [1200, 600],
    [600, 300],
    [60, 30],
    [2, 1],
    [0, 0],
  ])('is, for a lifetime of %i s, %i s by default', (lifetime, window) => {
    expect(defaultWindowMs(lifetime * 1000)).toBe(window * 1000)
    expect(windowMs(lifetime * 1000, undefined)).toBe(window * 1000)
  })

  it('is renewBefore, up to half the lifetime', () => {
    expect(windowMs(7_200_000, 20 * minuteMs)).toBe(20 * minuteMs)
    expect(windowMs(7_200_000, 60 * minuteMs)).toBe(60 * minuteMs)
    expect(windowMs(7_200_000, 61 * minuteMs)).toBe(60 * minuteMs)
  })

  it('is clamped only when renewBefore is more than half the lifetime', () => {
    expect(isClamped(7_200_000, undefined)).toBe(false)
    expect(isClamped(7_200_000, 60 * minuteMs)).toBe(false)
    expect(isClamped(7_200_000, 60 * minuteMs + 1)).toBe(true)
  })

  it('is never more than half the lifetime', () => {
    fc.assert(
      fc.property(lifetimes, fc.option(lifetimes, { nil: undefined }), (lifetimeMs, renewBeforeMs) => {
        expect(windowMs(lifetimeMs, renewBeforeMs)).toBeLessThanOrEqual(lifetimeMs / 2)
      }),
    )
  })
})

describe('renewalAt', () => {
  it('is 24 min before the expiry of a token of two hours, for an application without jitter', () => {
    expect(renewalAt({ expiresAt: 7_200_000, lifetimeMs: 7_200_000 }, terms())).toBe(96 * minuteMs)
  })

  it('is the earliest that any member wants', () => {
    const token = { expiresAt: 7_200_000, lifetimeMs: 7_200_000 }
    expect(renewalAt(token, terms({ renewBeforeMs: [minuteMs, 30 * minuteMs, undefined] }))).toBe(90 * minuteMs)
  })

  it('is the expiry with method Get', () => {
    const token = { expiresAt: 7_200_000, lifetimeMs: 7_200_000 }
    expect(renewalAt(token, terms({ method: 'Get', jitterShare: 0.9 }))).toBe(7_200_000)
  })

  it('is made earlier by jitter, never later, by at most 5 % of the lifetime', () => {
    fc.assert(
      fc.property(lifetimes, fc.option(lifetimes, { nil: undefined }), shares, (lifetimeMs, renewBeforeMs, share) => {
        const token = { expiresAt: 1_767_225_600_000, lifetimeMs }
        const earlierMs =
          renewalAt(token, terms({ renewBeforeMs: [renewBeforeMs] })) -
          renewalAt(token, terms({ renewBeforeMs: [renewBeforeMs], jitterShare: share }))
        expect(earlierMs).toBeGreaterThanOrEqual(0)
        expect(earlierMs).toBeLessThanOrEqual(0.05 * lifetimeMs + 0.001)
      }),
    )
  })

  it('leaves at least 45 % of a lifetime between two renewals', () => {
    fc.assert(
      fc.property(lifetimes, fc.option(lifetimes, { nil: undefined }), shares, (lifetimeMs, renewBeforeMs, share) => {
        const at = renewalAt(
          { expiresAt: lifetimeMs, lifetimeMs },
          terms({ renewBeforeMs: [renewBeforeMs], jitterShare: share }),
        )
        expect(at).toBeGreaterThanOrEqual(0.45 * lifetimeMs - 0.001)
      }),
    )
  })
})

describe('jitterShareOf', () => {
  const appKey = new Sensitive('key')

  it('is the same after a restart and in every replica', () => {
    // The first 8 hex digits of: printf 'https://a\nkey' | sha256sum
    expect(jitterShareOf('https://a', appKey)).toBe(0xaabde4c5 / 2 ** 32)
  })

  it('lies in [0, 1), differently for gateways and appKeys', () => {
    const all = ['https://a', 'https://b'].flatMap((url) =>
      ['k1', 'k2', 'k3'].map((key) => jitterShareOf(url, new Sensitive(key))),
    )
    expect(new Set(all).size).toBe(6)
    for (const share of all) expect(share >= 0 && share < 1).toBe(true)
  })
})

describe('dueAt', () => {
  const due = (overrides: Partial<RenewalState>, wanted: Partial<RenewalTerms> = {}): number => {
    return dueAt(state(overrides), terms(wanted)) - now
  }

  it('is in the past for an identity without a proven token', () => {
    expect(due({ token: undefined })).toBe(Number.NEGATIVE_INFINITY)
  })

  it('is a second after the last attempt of an identity that lost its proof', () => {
    expect(due({ token: undefined, lastOwnAttemptAt: now })).toBe(1000)
  })

  it.each<[string, Partial<RenewalState>, Partial<RenewalTerms>, number]>([
    ['when the window begins, with method Refresh', {}, {}, 36 * minuteMs],
    ['at expiry, with method Get', {}, { method: 'Get' }, 60 * minuteMs],
    ['as often as verifyEvery says', {}, { verifyEveryMs: [20 * minuteMs, 5 * minuteMs] }, 5 * minuteMs],
    ['10 s after the last answer, for a verifyEvery of less', {}, { verifyEveryMs: [1] }, 10_000],
    ['at the renewal, for a verifyEvery of more', {}, { verifyEveryMs: [10 * 60 * minuteMs] }, 36 * minuteMs],
    ['when backoff ends, after a failure', { hasFailed: true, retryAt: now + 5000 }, {}, 5000],
    ['when backoff ends, after a failure that left no token', { token: undefined, retryAt: now + 5000 }, {}, 5000],
    ['at once, when it is asked for', { isRequested: true }, {}, Number.NEGATIVE_INFINITY],
    ['10 s after the last forced renewal', { isRequested: true, lastForcedAt: now }, {}, 10_000],
    ['no later than without a request', { isRequested: true, lastForcedAt: now + 60 * minuteMs }, {}, 36 * minuteMs],
  ])('is %s', (_, given, wanted, expectedMs) => {
    expect(due(given, wanted)).toBe(expectedMs)
  })

  it.each([
    ['Get', 250],
    ['Refresh', 1000],
  ] as const)('leaves an interval between attempts for an expired token, with method %s', (method, intervalMs) => {
    const token = { expiresAt: now - 1, lifetimeMs: 120 * minuteMs }
    expect(due({ token, lastAttemptAt: now }, { method })).toBe(intervalMs)
  })
})

describe('isForced', () => {
  it.each([
    ['not without a request', false, Number.NEGATIVE_INFINITY, false],
    ['at once', true, Number.NEGATIVE_INFINITY, true],
    ['not within 10 s of the last one', true, now - 9999, false],
    ['10 s after the last one', true, now - 10_000, true],
  ])('allows a forced renewal %s', (_, isRequested, lastForcedAt, expected) => {
    expect(isForced({ isRequested, lastForcedAt }, now)).toBe(expected)
  })
})

describe('nextCall', () => {
  it.each<[string, Partial<AttemptProgress>, Operation | undefined]>([
    ['begins with get', {}, 'get'],
    ['begins with get, even in a forced renewal', { isForced: true }, 'get'],
    ['begins with get with method Get', { method: 'Get' }, 'get'],
    ['refreshes a token that get answered and that is inside its window', isDue, 'refresh'],
    ['does not refresh a token that is outside its window, as after a renewal elsewhere', isNotDue, undefined],
    ['never refreshes with method Get', { ...isDue, method: 'Get' }, undefined],
    ['refreshes outside the window in a forced renewal', { ...isNotDue, isForced: true }, 'refresh'],
    [
      'does not refresh a token other than the held one in a forced renewal',
      { ...isNotDue, isForced: true, heldFingerprint: 'another' },
      undefined,
    ],
    [
      'does not refresh a first token in a forced renewal',
      { ...isNotDue, isForced: true, heldFingerprint: undefined },
      undefined,
    ],
    [
      'refreshes the token that get answers in a forced renewal when the held one was lost',
      { ...isNotDue, isForced: true, heldFingerprint: undefined, isHeldTokenLost: true },
      'refresh',
    ],
    ['refreshes only once', { ...isDue, hasRefreshed: true }, undefined],
    ['refreshes only once in a forced renewal', { ...isNotDue, isForced: true, hasRefreshed: true }, undefined],
    ['calls get again after a refused refresh', { refusedRefreshes: 1 }, 'get'],
    ['refreshes a second time after a refused refresh', { ...isDue, refusedRefreshes: 1 }, 'refresh'],
    ['leaves a third refresh to the next attempt', { ...isDue, refusedRefreshes: 2 }, undefined],
    ['ends with get after two refused refreshes', { refusedRefreshes: 2 }, 'get'],
  ])('%s', (_, given, expected) => {
    expect(nextCall(attempt(given), now)).toBe(expected)
  })
})
