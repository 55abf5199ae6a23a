import { describe, expect, it } from 'vitest'
import type { Operation } from '../../../src/enos/operation.ts'
import { type Attempt, nextCall } from '../../../src/tokens/attempt.ts'
import { heldToken, now } from '../../support/builders.ts'

const token = heldToken()

function attempt(overrides: Partial<Attempt> = {}): Attempt {
  return {
    method: 'Refresh',
    isForced: false,
    heldFingerprint: token.fingerprint,
    answered: undefined,
    answeredRenewalAt: Number.POSITIVE_INFINITY,
    hasRefreshed: false,
    refusedRefreshes: 0,
    ...overrides,
  }
}

/** Get answered, and what it answered is inside its window. */
const isDue = { answered: token, answeredRenewalAt: now }
/** Get answered a token that is not due. */
const isNotDue = { answered: token, answeredRenewalAt: now + 1 }

describe('nextCall', () => {
  it.each<[string, Partial<Attempt>, Operation | undefined]>([
    ['begins with get', {}, 'get'],
    ['begins with get, even when a renewal was asked for', { isForced: true }, 'get'],
    ['begins with get with method Get', { method: 'Get' }, 'get'],
    ['refreshes what get answered and is inside its window', isDue, 'refresh'],
    ['leaves alone what is not inside its window: somebody renewed it already', isNotDue, undefined],
    ['never refreshes with method Get', { ...isDue, method: 'Get' }, undefined],
    ['refreshes outside of the window when that was asked for', { ...isNotDue, isForced: true }, 'refresh'],
    [
      'does not refresh, though asked for, a token that is newer than the one that is held',
      { ...isNotDue, isForced: true, heldFingerprint: 'another' },
      undefined,
    ],
    [
      'does not refresh, though asked for, a first token',
      { ...isNotDue, isForced: true, heldFingerprint: undefined },
      undefined,
    ],
    ['refreshes once only', { ...isDue, hasRefreshed: true }, undefined],
    ['refreshes once only when asked for', { ...isNotDue, isForced: true, hasRefreshed: true }, undefined],
    ['asks get again after a refresh that was refused', { refusedRefreshes: 1 }, 'get'],
    ['tries a second refresh after one that was refused', { ...isDue, refusedRefreshes: 1 }, 'refresh'],
    ['leaves a third to the next attempt', { ...isDue, refusedRefreshes: 2 }, undefined],
    ['asks get a last time, for what is known then', { refusedRefreshes: 2 }, 'get'],
  ])('%s', (_, given, expected) => {
    expect(nextCall(attempt(given), now)).toBe(expected)
  })
})
