import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createCaches } from '../../../src/observe/caches.ts'
import { newState } from '../../../src/observe/credential-state.ts'
import { ExpiredTime } from '../../../src/observe/expired-time.ts'
import { samplesOf } from '../../../src/telemetry/credential-samples.ts'
import { heldToken, now, restarted, targetRecord } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'

describe('ExpiredTime', () => {
  it('ExpiredTime counts from the expiry of the token', () => {
    const time = new ExpiredTime(now)
    expect(time.countUntil(now + 1000, now + 5000)).toBe(0)
    expect(time.countUntil(now + 7000, now + 5000)).toBe(2000)
  })

  it('ExpiredTime does not count time before the process saw the targets', () => {
    expect(new ExpiredTime(now).countUntil(now + 1000, now - 60_000)).toBe(1000)
  })

  it('ExpiredTime does not grow while the targets hold a valid token, or none', () => {
    const time = new ExpiredTime(now)
    time.countUntil(now + 1000, now)
    expect(time.countUntil(now + 5000, undefined)).toBe(1000)
    expect(time.countUntil(now + 9000, now + 60_000)).toBe(1000)
    expect(time.countUntil(now + 10_000, now)).toBe(2000)
  })

  it('ExpiredTime never falls, and never exceeds the elapsed time', () => {
    const step = fc.record({ ms: fc.nat(10_000), expiresIn: fc.option(fc.integer({ min: -20_000, max: 20_000 })) })
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const time = new ExpiredTime(now)
        let [at, before] = [now, 0]
        for (const { expiresIn, ms } of steps) {
          at += ms
          const total = time.countUntil(at, expiresIn === null ? undefined : at + expiresIn)
          expect(total).toBeGreaterThanOrEqual(before)
          expect(total).toBeLessThanOrEqual(at - now)
          before = total
        }
      }),
    )
  })
})

describe('the sample expiredSeconds', () => {
  it('expiredSeconds does not fall when the record of the target is dropped', async () => {
    const clock = new FakeClock(now)
    const caches = createCaches()
    const { credential } = restarted()
    caches.credentials.upsert(credential)
    const state = newState(credential, now, 0)
    state.record.set('enos-token', targetRecord({}, heldToken({ expiresAt: now })))
    const seconds = () => [...samplesOf(caches, () => state, clock)].map(({ expiredSeconds }) => expiredSeconds)
    await clock.advance(100_000)
    expect(seconds()).toEqual([100])
    state.record.clear()
    await clock.advance(100_000)
    expect(seconds()).toEqual([100])
  })
})
