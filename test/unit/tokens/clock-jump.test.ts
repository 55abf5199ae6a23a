import { afterEach, describe, expect, it } from 'vitest'
import { hourMs, minuteMs } from '../../support/builders.ts'
import { indexOf, maxPerSecond, Storm, type StormOptions } from './storm-world.ts'

const concurrency = 32

let storm: Storm

afterEach(async () => {
  await Promise.all([storm.applications.shutDown(0), storm.clock.advance(minuteMs)])
})

/** Ten thousand applications, of which each hundred have tokens that end a second after the hundred before. */
async function withTokens(options: StormOptions, untilMs: number): Promise<void> {
  storm = new Storm({ concurrency, ...options })
  await storm.joinSpread(100, 100, 1000)
  await storm.pass('well', untilMs)
  expect(storm.withoutToken).toBe(0)
}

const view = (index: number) => storm.applications.view(`ns/app-${index}`)

describe('ten thousand applications after a sleep of the machine', { timeout: 60_000 }, () => {
  it('that outlasted all tokens get new ones, the nearest expiry first, at the pace of the breaker', async () => {
    await withTokens({ isStepSleep: true }, hourMs)
    storm.jump(84 * minuteMs)
    expect(storm.withoutToken).toBe(10_000)
    const calls = await storm.pass('well', 2 * minuteMs)
    expect(storm.withoutToken).toBe(0)
    expect(calls).toHaveLength(10_000)
    expect(calls.every(({ operation }) => operation === 'get')).toBe(true)
    expect(maxPerSecond(calls)).toBeLessThanOrEqual(concurrency + 101)
    const groups = calls.map((call) => Math.floor(indexOf(call) / 100))
    expect(groups).toEqual([...groups].sort((a, b) => a - b))
  })

  it('that ended in the window of all tokens refresh them, each after a get', async () => {
    await withTokens({ isStepSleep: true }, hourMs)
    storm.jump(45 * minuteMs)
    expect(storm.withoutToken).toBe(0)
    const calls = await storm.pass('well', 3 * minuteMs)
    expect(calls.filter(({ operation }) => operation === 'get')).toHaveLength(10_000)
    expect(calls.filter(({ operation }) => operation === 'refresh')).toHaveLength(10_000)
    expect(maxPerSecond(calls)).toBeLessThanOrEqual(2 * (concurrency + 101))
    expect(storm.withoutToken).toBe(0)
  })

  it('that was short call nothing, and renew earlier by it', async () => {
    await withTokens({ isStepSleep: true }, minuteMs)
    const before = view(0)
    storm.jump(30_000)
    expect(await storm.pass('well', minuteMs)).toEqual([])
    // The published times stay.
    expect(view(0)?.renewalAtWall).toBe(before?.renewalAtWall)
    expect(view(0)?.token?.expiresAt).toBe((before?.token?.expiresAt ?? 0) - 30_000)
    await storm.pass('well', 3 * hourMs)
    expect(storm.withoutToken).toBe(0)
  })

  it('while the gateway is down stay held by the circuit breaker', async () => {
    await withTokens({ isStepSleep: true }, hourMs)
    storm.mood = 'refuses'
    storm.jump(84 * minuteMs)
    const calls = await storm.pass('refuses', minuteMs)
    expect(storm.isCircuitOpen).toBe(true)
    expect(calls.length).toBeLessThanOrEqual(9 + concurrency + 60)
    storm.jump(10 * minuteMs)
    expect((await storm.pass('refuses', minuteMs)).length).toBeLessThanOrEqual(61)
    await storm.pass('well', 2 * minuteMs)
    expect(storm.withoutToken).toBe(0)
  })
})

describe('ten thousand applications after an NTP step of 10 s', { timeout: 60_000 }, () => {
  it('make no call where none is due', async () => {
    await withTokens({}, hourMs)
    storm.jump(10_000)
    expect(await storm.pass('well', 10 * minuteMs)).toEqual([])
  })

  it('make one call more each, a get that confirms the token, and no storm', async () => {
    await withTokens({}, 87 * minuteMs)
    const usual = new Set((await storm.pass('well', 4 * minuteMs)).map(({ appKey }) => appKey))
    expect(usual.size).toBeGreaterThan(1000)
    const renewals = new Map<number, number | undefined>()
    for (let i = 0; i < 10_000; i++) {
      if (!usual.has(`app-${i}`)) renewals.set(i, view(i)?.lastRenewal?.atWall)
    }
    storm.jump(10_000)
    const atOnce = await storm.pass('well', 1000)
    expect(atOnce.length).toBeGreaterThan(100)
    expect(maxPerSecond(atOnce)).toBeLessThanOrEqual(2 * (concurrency + 101))
    // Confirmed, which is no renewal.
    const refreshed = new Set(atOnce.filter(({ operation }) => operation === 'refresh').map(indexOf))
    const confirmed = atOnce.map(indexOf).filter((index) => renewals.has(index) && !refreshed.has(index))
    expect(confirmed.length).toBeGreaterThan(50)
    for (const index of confirmed) expect(view(index)?.lastRenewal?.atWall).toBe(renewals.get(index))
    const rest = await storm.pass('well', 15 * minuteMs)
    const calls = [...atOnce, ...rest]
    expect(calls.filter(({ operation }) => operation === 'refresh')).toHaveLength(10_000 - usual.size)
    expect(calls.length).toBeLessThanOrEqual(3 * (10_000 - usual.size))
    expect(storm.withoutToken).toBe(0)
  })
})
