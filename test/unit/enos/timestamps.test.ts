import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Timestamps } from '../../../src/enos/timestamps.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const appKey = new Sensitive('key')

describe('Timestamps', () => {
  it("gives the wall clock's whole milliseconds", () => {
    const clock = new FakeClock(1_767_225_600_000.7)
    expect(new Timestamps(clock).next(appKey)).toBe(1_767_225_600_000)
  })

  it('gives the next free millisecond to calls in the same one', () => {
    const clock = new FakeClock(1000)
    const timestamps = new Timestamps(clock)
    expect([timestamps.next(appKey), timestamps.next(appKey), timestamps.next(appKey)]).toEqual([1000, 1001, 1002])
  })

  it('counts for each appKey by itself', () => {
    const timestamps = new Timestamps(new FakeClock(1000))
    expect(timestamps.next(appKey)).toBe(1000)
    expect(timestamps.next(new Sensitive('other'))).toBe(1000)
  })

  it('knows an appKey by its value, not by its object', () => {
    const timestamps = new Timestamps(new FakeClock(1000))
    expect([timestamps.next(appKey), timestamps.next(new Sensitive('key'))]).toEqual([1000, 1001])
  })

  it('follows a wall clock that stepped back, around what was used there', () => {
    const clock = new FakeClock(1000)
    const timestamps = new Timestamps(clock)
    timestamps.next(appKey)
    clock.stepWall(5)
    timestamps.next(appKey)
    clock.stepWall(-5)
    expect(timestamps.next(appKey)).toBe(1001)
  })

  it('never gives the same twice, however the wall clock steps', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -20, max: 20 }), { maxLength: 200 }), (steps) => {
        const clock = new FakeClock(10_000)
        const timestamps = new Timestamps(clock)
        const seen = steps.map((step) => {
          clock.stepWall(step)
          return timestamps.next(appKey)
        })
        expect(new Set(seen).size).toBe(seen.length)
      }),
    )
  })

  it('stays beside the wall clock: a burst moves it by one each', () => {
    const clock = new FakeClock(1000)
    const timestamps = new Timestamps(clock)
    for (let i = 0; i < 500; i++) timestamps.next(appKey)
    expect(timestamps.next(appKey)).toBe(1500)
  })
})
