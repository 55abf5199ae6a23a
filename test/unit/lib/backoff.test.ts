import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backoffMs } from '../../../src/lib/backoff.ts'

const backoff = { baseMs: 200, capMs: 300_000 }

describe('backoffMs', () => {
  it.each([
    [1, 200],
    [2, 400],
    [3, 800],
    [11, 204_800],
    [12, 300_000],
    [1000, 300_000],
  ])('is, after %d failures, %d ms less the jitter', (failures, expectedMs) => {
    expect(backoffMs(backoff, failures, () => 0)).toBe(expectedMs)
    expect(backoffMs(backoff, failures, () => 0.5)).toBe(expectedMs * 0.875)
  })

  it('counts fewer than one failure as one', () => {
    expect(backoffMs(backoff, 0, () => 0)).toBe(200)
    expect(backoffMs(backoff, -3, () => 0)).toBe(200)
  })

  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

  it('stays between three quarters of the base and the cap, whatever the count and the jitter', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), random, (failures, share) => {
        const delayMs = backoffMs(backoff, failures, () => share)
        expect(delayMs).toBeGreaterThan(0.75 * backoff.baseMs)
        expect(delayMs).toBeLessThanOrEqual(backoff.capMs)
      }),
    )
  })

  it('never decreases with more failures at the same jitter', () => {
    fc.assert(
      fc.property(fc.nat(100), fc.nat(100), random, (a, b, share) => {
        const [fewer, more] = a < b ? [a, b] : [b, a]
        expect(backoffMs(backoff, more, () => share)).toBeGreaterThanOrEqual(backoffMs(backoff, fewer, () => share))
      }),
    )
  })
})
