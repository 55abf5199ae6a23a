import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { WorkQueue } from '../../../src/kubernetes/work-queue.ts'
import {
  callTimeoutMs,
  msPerPriority,
  priorityOf,
  probeDelayMs,
  recoveryPaceMs,
  retryDelayMs,
} from '../../../src/tokens/schedule.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const minuteMs = 60_000
const shares = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

describe('callTimeoutMs', () => {
  it.each([
    ['the timeout, with much life left', 10_000, 3_600_000, 10_000],
    ['a third of the life left, where that is less', 10_000, 12_000, 4000],
    ['never less than a second', 10_000, 100, 1000],
    ['the timeout, with no life left', 10_000, 0, 10_000],
    ['the timeout, after expiry', 10_000, -5000, 10_000],
    ['the timeout, even of less than a second', 200, 100, 200],
  ])('is %s', (_, timeoutMs, lifeLeftMs, expected) => {
    expect(callTimeoutMs(timeoutMs, lifeLeftMs)).toBe(expected)
  })

  it('is never more than the timeout', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 300_000 }), fc.integer(), (timeoutMs, lifeLeftMs) => {
        const allowedMs = callTimeoutMs(timeoutMs, lifeLeftMs)
        expect(allowedMs).toBeLessThanOrEqual(timeoutMs)
        expect(allowedMs).toBeGreaterThanOrEqual(Math.min(timeoutMs, 1000))
      }),
    )
  })
})

describe('retryDelayMs', () => {
  const failures = fc.integer({ min: 1, max: 1_000_000 })
  const lives = fc.integer({ min: -7_200_000, max: 7_200_000 })
  const retryAfters = fc.option(fc.integer({ min: 1, max: 100 * 60 * minuteMs }), { nil: undefined })

  it.each([
    ['a second after the first failure', 1, 3_600_000, false, undefined, 1000],
    ['twice as long after each further one', 4, 3_600_000, false, undefined, 8000],
    ['at most five minutes', 50, 7_200_000, false, undefined, 300_000],
    ['at most an eighth of the life left', 50, 80_000, false, undefined, 10_000],
    ['at least a second, however little life is left', 50, 10, false, undefined, 1000],
    ['at most 30 s while no token is valid', 50, 0, false, undefined, 30_000],
    ['at most ten minutes for user errors', 50, 0, true, undefined, 600_000],
    ['as long as the gateway asks', 1, 3_600_000, false, 120_000, 120_000],
    ['not longer than five minutes, whatever the gateway asks', 1, 7_200_000, false, 86_400_000, 300_000],
    ['not longer than a quarter of the life left', 1, 40_000, false, 86_400_000, 10_000],
    ['not shorter than the backoff, whatever the gateway asks', 6, 3_600_000, false, 1, 32_000],
  ])('waits %s', (_, count, lifeLeftMs, needsUser, retryAfterMs, expected) => {
    expect(retryDelayMs({ failures: count, lifeLeftMs, needsUser, retryAfterMs }, 1)).toBe(expected)
  })

  it('lies between 0.75 s and ten minutes, always', () => {
    fc.assert(
      fc.property(failures, lives, fc.boolean(), retryAfters, shares, (count, left, isUsers, retryAfterMs, random) => {
        const delayMs = retryDelayMs({ failures: count, lifeLeftMs: left, needsUser: isUsers, retryAfterMs }, random)
        expect(delayMs).toBeGreaterThanOrEqual(750)
        expect(delayMs).toBeLessThanOrEqual(10 * minuteMs)
      }),
    )
  })

  it('leaves room for three more attempts while a token has more than 4 s to live', () => {
    fc.assert(
      fc.property(failures, fc.integer({ min: 4000, max: 7_200_000 }), retryAfters, shares, (count, left, after, r) => {
        expect(
          retryDelayMs({ failures: count, lifeLeftMs: left, needsUser: false, retryAfterMs: after }, r),
        ).toBeLessThanOrEqual(left / 4)
      }),
    )
  })

  it('takes at most a quarter off by jitter', () => {
    fc.assert(
      fc.property(failures, lives, fc.boolean(), shares, (count, left, isUsers, random) => {
        const attempt = { failures: count, lifeLeftMs: left, needsUser: isUsers, retryAfterMs: undefined }
        const whole = retryDelayMs(attempt, 1)
        const delayMs = retryDelayMs(attempt, random)
        expect(delayMs).toBeGreaterThanOrEqual(0.75 * whole - 0.001)
        expect(delayMs).toBeLessThanOrEqual(whole)
      }),
    )
  })
})

describe('probeDelayMs', () => {
  const forever = Number.POSITIVE_INFINITY
  const lives = fc.integer({ min: 1, max: 7_200_000 })
  const patience = fc.integer({ min: 0, max: 100 * 60 * minuteMs })

  it.each([
    ['a second at first', 0, forever, 0, 1000],
    ['longer with each probe', 3, forever, 0, 4000],
    ['never longer than 5 s', 1000, forever, 0, 5000],
    ['a sixteenth of the shortest life left', 1000, 32_000, 0, 2000],
    ['at least a quarter of a second', 1000, 10, 0, 250],
    ['as long as the gateway asks', 1000, forever, 60_000, 60_000],
    ['not longer than five minutes, whatever the gateway asks', 1000, forever, 3_600_000, 300_000],
    ['not longer than a quarter of the life, whatever the gateway asks', 1000, 120_000, 3_600_000, 30_000],
  ])('is %s', (_, probes, lifeMs, retryAfterMs, expected) => {
    expect(probeDelayMs(probes, lifeMs, retryAfterMs)).toBe(expected)
  })

  it('leaves room for three more probes in any life of more than a second', () => {
    fc.assert(
      fc.property(fc.nat(10_000), lives, patience, (probes, lifeMs, retryAfterMs) => {
        const delayMs = probeDelayMs(probes, lifeMs, retryAfterMs)
        expect(delayMs).toBeGreaterThanOrEqual(250)
        expect(delayMs).toBeLessThanOrEqual(Math.max(250, lifeMs / 4))
      }),
    )
  })
})

describe('recoveryPaceMs', () => {
  const lives = (count: number, lifeMs: number): number[] => Array.from({ length: count }, () => lifeMs)

  it.each([
    ['10 ms for ten thousand with a usual window left', lives(10_000, 24 * minuteMs), 10],
    ['10 ms for ten thousand without a token', lives(10_000, 0), 10],
    ['10 ms for one', [1000], 10],
    ['10 ms for none', [], 10],
    ['less for so many that they would take more than two minutes', lives(24_000, 0), 5],
    ['as little as a quarter of the life left needs', lives(10_000, 2 * minuteMs), 3],
    ['as little as the last one needs, if that has least', [...lives(999, 0), 20_000], 5],
    ['never less than a millisecond', lives(1000, 1001), 1],
    ['not less for a deadline that cannot be kept', [...lives(1000, 0), 1000], 10],
  ])('is %s', (_, livesLeftMs, expected) => {
    expect(recoveryPaceMs(livesLeftMs)).toBe(expected)
  })

  it('leaves each application three quarters of its life, unless that needs more than a thousand a second', () => {
    const someLives = fc.array(fc.integer({ min: -1000, max: 100_000 }), { maxLength: 200 })
    fc.assert(
      fc.property(someLives, (livesLeftMs) => {
        const paceMs = recoveryPaceMs(livesLeftMs)
        expect(paceMs).toBeGreaterThanOrEqual(1)
        expect(paceMs).toBeLessThanOrEqual(10)
        for (const [i, lifeMs] of livesLeftMs.entries()) {
          if (lifeMs > (i + 1) * 4) expect(paceMs * (i + 1)).toBeLessThanOrEqual(lifeMs / 4 + 0.001)
        }
      }),
    )
  })
})

describe('priorityOf', () => {
  it('is lower the more life is left, and highest without any', () => {
    const priorities = [7_200_000, 60_000, 59_999, 1, 0].map(priorityOf)
    expect(priorities).toEqual([...priorities].sort((a, b) => a - b))
    expect(new Set(priorities).size).toBe(5)
    expect(priorityOf(-5000)).toBe(priorityOf(0))
  })

  it('makes a work queue hand out renewals in the order of expiry, whenever each became due', async () => {
    const clock = new FakeClock(0)
    const queue = new WorkQueue<string>({
      name: 'test',
      clock,
      random: () => 0,
      agingMs: msPerPriority,
      onError: () => undefined,
    })
    const add = (key: string, expiresAt: number): void => {
      queue.add(key, { priority: priorityOf(expiresAt - clock.now()) })
    }
    add('third', 24 * minuteMs)
    add('fifth', 60 * minuteMs)
    await clock.advance(10 * minuteMs)
    add('second', 24 * minuteMs - 1)
    await clock.advance(9 * minuteMs)
    add('fourth', 25 * minuteMs)
    add('first, without a token', 0)
    const picked: string[] = []
    queue.run(1, (key) => {
      picked.push(key)
      return Promise.resolve()
    })
    await clock.advance(0)
    expect(picked).toEqual(['first, without a token', 'second', 'third', 'fourth', 'fifth'])
  })
})
