import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Timestamps } from '../../../src/enos/timestamps.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const appKey = new Sensitive('key')
const never = new AbortController().signal
const hourMs = 3_600_000

/** Takes the next timestamp of each appKey, and lets time pass until all are there. */
async function take(clock: FakeClock, timestamps: Timestamps, ...appKeys: Sensitive[]): Promise<number[]> {
  let isDone = false
  const taken = Promise.all(appKeys.map((key) => timestamps.next(key, never))).finally(() => (isDone = true))
  while (!isDone) await clock.advance(1)
  return await taken
}

describe('Timestamps', () => {
  it("gives the wall clock's whole milliseconds", async () => {
    const clock = new FakeClock(1_767_225_600_000.7)
    expect(await new Timestamps(clock).next(appKey, never)).toBe(1_767_225_600_000)
  })

  it('waits for the next free millisecond, and never gives one ahead of the clock', async () => {
    const clock = new FakeClock(1000)
    const timestamps = new Timestamps(clock)
    await timestamps.next(appKey, never)
    const second = timestamps.next(appKey, never).then((timestamp) => ({ timestamp, at: clock.wall() }))
    const third = timestamps.next(appKey, never).then((timestamp) => ({ timestamp, at: clock.wall() }))
    for (let i = 0; i < 5; i++) await clock.advance(1)
    expect([await second, await third]).toEqual([
      { timestamp: 1001, at: 1001 },
      { timestamp: 1002, at: 1002 },
    ])
  })

  it('stops waiting when the call is aborted', async () => {
    const clock = new FakeClock(1000)
    const timestamps = new Timestamps(clock)
    await timestamps.next(appKey, never)
    const aborter = new AbortController()
    const second = timestamps.next(appKey, aborter.signal)
    aborter.abort(new Error('deadline'))
    await expect(second).rejects.toThrow('deadline')
    expect(clock.pendingTimers).toBe(0)
  })

  it('counts each appKey by itself', async () => {
    const clock = new FakeClock(1000)
    const timestamps = new Timestamps(clock)
    expect(await timestamps.next(appKey, never)).toBe(1000)
    expect(await timestamps.next(new Sensitive('other'), never)).toBe(1000)
  })

  it('compares appKeys by value', async () => {
    const clock = new FakeClock(1000)
    expect(await take(clock, new Timestamps(clock), appKey, new Sensitive('key'))).toEqual([1000, 1001])
  })

  it('skips used milliseconds when the wall clock steps back', async () => {
    const clock = new FakeClock(1000)
    const timestamps = new Timestamps(clock)
    await timestamps.next(appKey, never)
    clock.stepWall(5)
    await timestamps.next(appKey, never)
    clock.stepWall(-5)
    expect(await take(clock, timestamps, appKey)).toEqual([1001])
  })

  it('never gives the same timestamp twice, however the wall clock steps, nor one ahead of it', async () => {
    const steps = fc.array(fc.integer({ min: -20, max: 20 }), { maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(steps, async (given) => {
        const clock = new FakeClock(10_000)
        const timestamps = new Timestamps(clock)
        const seen: number[] = []
        for (const step of given) {
          clock.stepWall(step)
          const [timestamp = Number.NaN] = await take(clock, timestamps, appKey)
          expect(timestamp).toBeLessThanOrEqual(clock.wall())
          seen.push(timestamp)
        }
        expect(new Set(seen).size).toBe(seen.length)
      }),
      { numRuns: 30 },
    )
  })

  it('never gives the same timestamp twice when an hour comes again', async () => {
    const clock = new FakeClock(10 * hourMs)
    const timestamps = new Timestamps(clock)
    const minutes = Array.from({ length: 61 }, (_, minute) => minute)
    const seen: number[] = []
    for (let times = 0; times < 2; times++) {
      for (const minute of minutes) {
        clock.stepWall(10 * hourMs + minute * 60_000 - clock.wall())
        seen.push(...(await take(clock, timestamps, appKey)))
      }
    }
    expect(new Set(seen).size).toBe(122)
  })

  it('remembers at most 128 timestamps of an appKey', async () => {
    const clock = new FakeClock(1000)
    const timestamps = new Timestamps(clock)
    for (let i = 0; i < 1000; i++) {
      clock.stepWall(1)
      await timestamps.next(appKey, never)
    }
    expect(timestamps.size).toBe(128)
    // The newest of them.
    clock.stepWall(-127)
    const aborter = new AbortController()
    const repeated = timestamps.next(appKey, aborter.signal)
    aborter.abort(new Error('still waiting'))
    await expect(repeated).rejects.toThrow('still waiting')
  })

  it('drops timestamps after an hour, and appKeys that have none left', async () => {
    const clock = new FakeClock(10 * hourMs)
    const timestamps = new Timestamps(clock)
    for (let i = 0; i < 100; i++) await timestamps.next(new Sensitive(`key-${i}`), never)
    clock.stepWall(hourMs)
    await timestamps.next(appKey, never)
    expect(timestamps.size).toBe(101)
    clock.stepWall(1)
    await timestamps.next(appKey, never)
    expect(timestamps.size).toBe(2)
  })

  it('remembers at most 20,000 appKeys', async () => {
    const clock = new FakeClock(1000)
    const timestamps = new Timestamps(clock)
    for (let i = 0; i < 20_100; i++) await timestamps.next(new Sensitive(`key-${i}`), never)
    expect(timestamps.size).toBe(20_000)
  })
})
