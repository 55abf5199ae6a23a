import { afterEach, describe, expect, it } from 'vitest'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import type { ApplicationView } from '../../../src/tokens/application-view.ts'
import { hourMs, membership, minuteMs } from '../../support/builders.ts'
import { failure } from '../enos/support.ts'
import { type Call, indexOf, maxPerSecond, type Mood, Storm } from './storm-world.ts'

const concurrency = 32
/** The bound that `CircuitState` states: so many attempts fail before it is open. */
const openingLimit = 9 + concurrency
/** No renewal of a token of two hours is due before this, counted from the join. */
const untilFirstRenewalMs = 85 * minuteMs

const unavailable = failure({ message: 'get at https://apim.example.com: HTTP 503' })
const moods: readonly (readonly [number, string, Mood])[] = [
  [10_000, 'refuses connections', 'refuses'],
  [1000, 'hangs', 'hangs'],
  [1000, 'answers 503 to everybody', unavailable],
]

let storm: Storm

/** The one application that works among many. */
const owner = { appKey: new Sensitive('owner'), appSecret: new Sensitive('secret-of-owner') }
const good = (): ApplicationView | undefined => storm.applications.view('ns/owner')

afterEach(async () => {
  storm.mood = 'refuses'
  await Promise.all([storm.applications.shutDown(0), storm.clock.advance(minuteMs)])
})

/** The tokens of a group expire in the same second, those of a lower group earlier. */
const groupOf = (call: Call): number => Math.floor(indexOf(call) / 100)

/** Applications with tokens; each hundredth of them expires a second after the hundredth before. */
async function withTokens(count: number): Promise<Storm> {
  const made = new Storm({ concurrency })
  await made.joinSpread(100, count / 100, 1000)
  await made.pass('well', untilFirstRenewalMs)
  expect(made.withoutToken).toBe(0)
  expect(made.calls).toEqual([])
  return made
}

describe.each(moods)('%i applications and a gateway that %s', (count, _, mood) => {
  it(
    'make no storm in an hour of outage, and all have a token within two minutes of its end',
    { timeout: 60_000 },
    async () => {
      storm = await withTokens(count)
      const outage = await storm.pass(mood, hourMs)
      expect(storm.isCircuitOpen).toBe(true)
      // One in 5 s, and up to four a second while tokens run out, which takes 100 s.
      expect(outage.length).toBeLessThanOrEqual(openingLimit + 3600 / 5 + 4 * 110)
      expect(outage.length).toBeGreaterThanOrEqual(3300 / 5)
      expect(maxPerSecond(outage)).toBeLessThanOrEqual(openingLimit)
      expect(maxPerSecond(outage, 30_000)).toBeLessThanOrEqual(4)
      expect(storm.maxInFlight).toBeLessThanOrEqual(concurrency)
      // Each is added as it comes due; after that only who probed and failed.
      expect(storm.queueAdds).toBeLessThanOrEqual(count + 2 * outage.length)
      expect(storm.withoutToken).toBe(count)

      await storm.pass('well', 2 * minuteMs)
      expect(storm.withoutToken).toBe(0)
      expect(storm.isCircuitOpen).toBe(false)
    },
  )
})

describe('ten thousand applications whose gateway is back', { timeout: 60_000 }, () => {
  it('make 100 attempts a second, the nearest expiry first, and lose no token', async () => {
    storm = await withTokens(10_000)
    await storm.pass('hangs', 25 * minuteMs)
    expect(storm.withoutToken).toBe(0)
    const calls = await storm.pass('well', 110_000)
    expect(storm.withoutToken).toBe(0)
    expect(storm.queueAdds).toBeLessThanOrEqual(10_100)
    // Two calls an attempt; probes come before.
    expect(maxPerSecond(calls)).toBeLessThanOrEqual(2 * 102)
    expect((calls.at(-1)?.at ?? 0) - (calls[0]?.at ?? 0)).toBeGreaterThan(95_000)

    const renewals = calls.filter(({ operation }) => operation === 'refresh')
    expect(renewals).toHaveLength(10_000)
    // But for those that probed: one brought the end of the outage, and two hung when it came.
    let latest = 0
    const outOfOrder = renewals
      .slice(1)
      .map(groupOf)
      .filter((group) => group < (latest = Math.max(latest, group)))
    expect(outOfOrder.length).toBeLessThanOrEqual(3)

    // The old tokens end now; all were renewed before, and nobody calls any more.
    expect(await storm.pass('well', 10 * minuteMs)).toEqual([])
    expect(storm.withoutToken).toBe(0)
  })

  it('keep to the maximum of concurrent calls when the gateway is slow', async () => {
    storm = new Storm({ concurrency: 8, latencyMs: 1000 })
    storm.join(200)
    await storm.pass('refuses', 10 * minuteMs)
    const calls = await storm.pass('well', minuteMs)
    expect(storm.withoutToken).toBe(0)
    expect(storm.maxInFlight).toBe(8)
    expect(maxPerSecond(calls)).toBeLessThanOrEqual(8)
  })

  it('make first syncs before renewals', async () => {
    storm = await withTokens(1000)
    await storm.pass('refuses', 22 * minuteMs)
    storm.join(100)
    await storm.pass('refuses', minuteMs)
    const [probe, ...calls] = await storm.pass('well', 2 * minuteMs)
    expect(storm.withoutToken).toBe(0)
    expect(indexOf(probe as Call)).toBeLessThan(1000)
    const firstSyncs = calls.map((call, place) => ({ place, isFirst: indexOf(call) >= 1000 }))
    expect(firstSyncs.filter(({ isFirst }) => isFirst)).toHaveLength(100)
    // The probe's own renewal is among them.
    expect(firstSyncs.findLast(({ isFirst }) => isFirst)?.place).toBeLessThanOrEqual(101)
  })

  it('recover faster when their tokens are short-lived, and lose none', async () => {
    storm = new Storm({ concurrency, lifetimeSeconds: 120 })
    storm.join(2000)
    await storm.pass('well', 50_000)
    await storm.pass('hangs', 50_000)
    expect(storm.withoutToken).toBe(0)
    const calls = await storm.pass('well', 10_000)
    expect(storm.withoutToken).toBe(0)
    // 20 s of life are left, of which a quarter is used: 2.5 ms each.
    expect(maxPerSecond(calls)).toBeGreaterThan(2 * 350)
    expect(maxPerSecond(calls)).toBeLessThanOrEqual(2 * 501)
    await storm.pass('well', 15_000)
    expect(storm.withoutToken).toBe(0)
  })

  it('make no storm when the gateway fails again at once', async () => {
    storm = await withTokens(2000)
    await storm.pass('refuses', 15 * minuteMs)
    let renewals = 0
    for (let i = 0; i < 10; i++) {
      renewals += (await storm.pass('well', 6000)).filter(({ operation }) => operation === 'refresh').length
      const outage = await storm.pass('hangs', 30_000)
      expect(storm.maxInFlight).toBeLessThanOrEqual(concurrency)
      expect(outage.length).toBeLessThanOrEqual(openingLimit + 10)
    }
    expect(renewals).toBeGreaterThan(1000)
  })
})

describe('a gateway that is down', () => {
  it('is probed often enough for the shortest life left', async () => {
    storm = new Storm({ concurrency, lifetimeSeconds: 60 })
    storm.join(100)
    await storm.pass('well', 25_000)
    await storm.pass('refuses', 30_000)
    // 5 s are left: a sixteenth is 312 ms.
    const calls = await storm.pass('refuses', 1000)
    expect(calls.length).toBeGreaterThanOrEqual(3)
    expect(calls.length).toBeLessThanOrEqual(4)
    await storm.pass('well', 2000)
    expect(storm.withoutToken).toBe(0)
  })

  it('is probed by at most the concurrent calls when all hang, and no application counts as lost', async () => {
    storm = new Storm({ concurrency: 2 })
    storm.join(100, { timeoutMs: 5 * minuteMs })
    for (let passed = 0; passed < 30; passed++) {
      await storm.pass('hangs', minuteMs)
      expect(storm.calls.length).toBeLessThanOrEqual(2)
      for (let i = 0; i < 100; i++) expect(storm.applications.isQueued(`ns/app-${i}`)).toBe(true)
    }
    expect(storm.isCircuitOpen).toBe(true)
    await storm.pass('well', 6 * minuteMs)
    expect(storm.withoutToken).toBe(0)
  })

  it('gets no call before its Retry-After has passed', async () => {
    storm = new Storm({ concurrency })
    storm.join(1000)
    const [first] = await storm.pass(failure({ ...unavailable, retryAfterMs: minuteMs }), 500)
    expect(storm.calls.length).toBeLessThanOrEqual(openingLimit)
    const calls = await storm.pass(failure({ ...unavailable, retryAfterMs: minuteMs }), 10 * minuteMs)
    expect(calls.length).toBeLessThanOrEqual(10)
    expect(calls.length).toBeGreaterThanOrEqual(9)
    expect(calls[0]?.at).toBe((first?.at ?? 0) + minuteMs)
  })

  it('is reported to the members of held applications, which made no attempt', async () => {
    storm = new Storm({ concurrency })
    storm.join(100)
    await storm.pass('refuses', 1000)
    expect(storm.applications.view('ns/app-70')).toMatchObject({
      failures: 0,
      failure: {
        class: 'retry',
        reason: 'GatewayUnreachable',
        message: 'waiting for the gateway, which fails for all: the gateway said no',
      },
    })
    await storm.pass('well', minuteMs)
    expect(storm.applications.view('ns/app-70')).toMatchObject({ failures: 0, failure: undefined })
  })

  it('does not leave failed applications in their own backoff once it answers', async () => {
    storm = new Storm({ concurrency })
    storm.join(12)
    await storm.pass('well', untilFirstRenewalMs)
    await storm.pass('refuses', 20 * minuteMs)
    // Their own retries come some 100 s after one another by now; the first that is answered ends that.
    for (let seconds = 0; storm.isCircuitOpen && seconds < 120; seconds++) await storm.pass('well', 1000)
    await storm.pass('well', 1000)
    for (let i = 0; i < 12; i++) expect(storm.applications.view(`ns/app-${i}`)?.failure).toBeUndefined()
  })

  it('is probed for remaining applications, and applications that left slow down no other', async () => {
    storm = new Storm({ concurrency })
    storm.join(100)
    await storm.pass('hangs', 1000)
    // Some of them in the middle of a call, others held later.
    for (let i = 0; i < 20; i++) storm.applications.leave(`ns/app-${i}`)
    await storm.pass('hangs', minuteMs)
    expect(storm.isCircuitOpen).toBe(true)
    for (let i = 20; i < 99; i++) storm.applications.leave(`ns/app-${i}`)
    await storm.pass('well', minuteMs)
    expect(storm.withoutToken).toBe(99)
    storm.join(1000)
    const calls = await storm.pass('well', 0)
    expect(calls).toHaveLength(1000)
  })

  it('is probed by another application when the released one leaves', async () => {
    storm = new Storm({ concurrency: 1 })
    storm.join(100)
    // Ten time out, one after the other; an eleventh probes and hangs, and the twelfth waits for it to end.
    await storm.pass('hangs', 105_000)
    expect(storm.applications.queues().map((queue) => queue.snapshot().depth)).toEqual([1])
    for (let i = 11; i < 99; i++) storm.applications.leave(`ns/app-${i}`)
    await storm.pass('well', minuteMs)
    expect(storm.withoutToken).toBe(88)
  })

  it('gets no call after a stop, also from applications that wait for the pace', async () => {
    storm = new Storm({ concurrency })
    storm.join(1000)
    await storm.pass('refuses', minuteMs)
    await storm.pass('well', 8000)
    const { length } = storm.calls
    expect(length).toBeGreaterThan(100)
    expect(length).toBeLessThan(900)
    await Promise.all([storm.applications.shutDown(0), storm.clock.advance(minuteMs)])
    expect(storm.calls).toHaveLength(length)
  })
})

describe('an application that always fails', () => {
  const timedOut = failure({ reason: 'GatewayUnreachable', message: 'timed out' })

  it('does not open the circuit for the others', async () => {
    storm = new Storm({ concurrency })
    storm.join(20)
    await storm.pass('well', minuteMs)
    storm.join(9)
    await storm.pass(timedOut, hourMs)
    expect(storm.isCircuitOpen).toBe(false)
  })

  it('cannot keep the circuit open, even with many like it: the application answered last probes next', async () => {
    storm = new Storm({ concurrency })
    storm.applications.join('ns/owner', membership(owner))
    await storm.pass('well', untilFirstRenewalMs)
    storm.join(1000)
    storm.moods.set('owner', 'well')
    await storm.pass(timedOut, 20 * minuteMs)
    expect(storm.calls.filter(({ appKey, operation }) => appKey === 'owner' && operation === 'refresh')).toHaveLength(1)
    expect(storm.applications.view('ns/owner')?.failure).toBeUndefined()
  })

  it('delays a first sync by at most one probe, even with a thousand like it', async () => {
    storm = new Storm({ concurrency })
    storm.join(1000)
    storm.moods.set('owner', 'well')
    await storm.pass(unavailable, minuteMs)
    expect(storm.isCircuitOpen).toBe(true)
    storm.applications.join('ns/owner', membership(owner))
    await storm.pass(unavailable, 5000)
    expect(good()?.token).toBeDefined()
  })

  it('delays a renewal by get at expiry by at most one probe', async () => {
    storm = new Storm({ concurrency, lifetimeSeconds: 120 })
    storm.applications.join('ns/owner', membership({ ...owner, renewalMethod: 'Get' }))
    await storm.pass('well', 1000)
    storm.join(1000)
    storm.moods.set('owner', 'well')
    let expiredMs = 0
    for (let seconds = 0; seconds < 1200; seconds++) {
      await storm.pass(unavailable, 1000)
      const expiresAt = good()?.token?.expiresAt ?? 0
      if (expiresAt <= storm.clock.now()) expiredMs += 1000
    }
    // It ends ten times.
    expect(expiredMs).toBeLessThanOrEqual(10 * 5000)
  })

  it('probes after those that did not fail, whatever its expiry', async () => {
    storm = new Storm({ concurrency })
    storm.join(40)
    await storm.pass('well', 5 * minuteMs)
    storm.applications.join('ns/owner', membership({ ...owner, renewBeforeMs: 40 * minuteMs }))
    await storm.pass('well', 75 * minuteMs)
    storm.moods.set('owner', 'well')
    await storm.pass(timedOut, 20 * minuteMs)
    expect(storm.calls.filter(({ appKey, operation }) => appKey === 'owner' && operation === 'refresh')).toHaveLength(1)
  })
})

describe('a thousand applications with caller-side failures', () => {
  const distrust = failure({ reason: 'GatewayUnreachable', message: 'SELF_SIGNED_CERT_IN_CHAIN', isCallerSide: true })

  /** Its first renewal fails on the caller's side, and no later one does. */
  async function failOnce(): Promise<void> {
    storm.moods.set('owner', distrust)
    for (let seconds = 0; (good()?.failures ?? 0) === 0 && seconds < hourMs / 1000; seconds++) {
      await storm.pass(unavailable, 1000)
    }
    expect(good()?.failure?.isCallerSide).toBe(true)
    storm.moods.set('owner', 'well')
  }

  it('do not open the circuit, and delay no other', async () => {
    storm = new Storm({ concurrency, lifetimeSeconds: 120 })
    storm.join(1000)
    storm.moods.set('owner', 'well')
    await storm.pass(distrust, 10 * minuteMs)
    expect(storm.isCircuitOpen).toBe(false)
    storm.applications.join('ns/owner', membership(owner))
    await storm.pass(distrust, 0)
    expect(good()?.token).toBeDefined()
    for (let seconds = 0; seconds < 600; seconds++) {
      await storm.pass(distrust, 1000)
      expect(good()?.failure).toBeUndefined()
      expect(good()?.token?.expiresAt).toBeGreaterThan(storm.clock.now())
    }
  })

  it('take turns to probe, however many others always fail', async () => {
    storm = new Storm({ concurrency })
    storm.applications.join('ns/owner', membership(owner))
    await storm.pass('well', minuteMs)
    storm.join(60)
    await storm.pass(unavailable, untilFirstRenewalMs)
    await failOnce()
    await storm.pass(unavailable, 30_000)
    expect(good()?.failure).toBeUndefined()
    expect(storm.calls.filter(({ appKey, operation }) => appKey === 'owner' && operation === 'refresh')).toHaveLength(1)
  })

  it('take no probe from others when a second appSecret of theirs works', async () => {
    storm = new Storm({ concurrency })
    storm.applications.join('ns/owner', membership(owner))
    storm.join(200)
    await storm.pass('well', minuteMs)
    // Somebody who knows their appKeys, and has a CA that is not the gateway's; and a dozen that are always refused.
    for (let i = 0; i < 200; i++) {
      const intruder = { appKey: new Sensitive(`app-${i}`), appSecret: new Sensitive('guessed'), ca: 'wrong' }
      storm.applications.join(`ns/intruder-${i}`, membership(intruder))
    }
    storm.distrusted = 'wrong'
    for (let i = 0; i < 12; i++) {
      storm.moods.set(`refused-${i}`, unavailable)
      storm.applications.join(`ns/refused-${i}`, membership({ appKey: new Sensitive(`refused-${i}`) }))
    }
    for (let minutes = 0; minutes < 180; minutes++) {
      await storm.pass('well', minuteMs)
      expect(good()?.token?.expiresAt).toBeGreaterThan(storm.clock.now())
    }
  })

  it('probe before those that were never answered, if they have a token', async () => {
    storm = new Storm({ concurrency })
    storm.applications.join('ns/owner', membership(owner))
    await storm.pass('well', minuteMs)
    storm.join(12)
    await storm.pass(unavailable, minuteMs)
    for (let i = 0; i < 150; i++) {
      storm.moods.set(`distrustful-${i}`, distrust)
      storm.applications.join(`ns/distrustful-${i}`, membership({ appKey: new Sensitive(`distrustful-${i}`) }))
    }
    await storm.pass(unavailable, untilFirstRenewalMs)
    await failOnce()
    await storm.pass(unavailable, minuteMs)
    expect(good()?.failure).toBeUndefined()
  })

  it('do not delay the end of an outage', async () => {
    storm = new Storm({ concurrency })
    storm.join(1000)
    await storm.pass(distrust, minuteMs)
    storm.applications.join('ns/owner', membership(owner))
    await storm.pass('refuses', 10 * minuteMs)
    expect(storm.isCircuitOpen).toBe(true)
    expect(good()?.token).toBeUndefined()
    storm.moods.set('owner', 'well')
    await storm.pass(distrust, minuteMs)
    expect(good()?.token).toBeDefined()
    expect(storm.isCircuitOpen).toBe(false)
  })
})

describe('a gateway that has refresh again', () => {
  it('gets calls at the pace of a recovery', async () => {
    storm = new Storm({ concurrency, latencyMs: 10 })
    storm.hasRefresh = false
    storm.join(2000)
    // All find out that there is no refresh; an hour later one asks again with its new token.
    await storm.pass('well', 4 * hourMs + 80 * minuteMs)
    storm.hasRefresh = true
    const calls = await storm.pass('well', 30 * minuteMs)
    expect(calls.filter(({ operation }) => operation === 'refresh')).toHaveLength(2000)
    expect(maxPerSecond(calls)).toBeLessThanOrEqual(2 * 102)
    expect(storm.withoutToken).toBe(0)
  })
})

describe('a healthy gateway with a full queue', () => {
  it('is called first for applications without a token, then by expiry', async () => {
    storm = new Storm({ concurrency: 1, latencyMs: 1000 })
    await storm.joinSpread(5, 1, minuteMs)
    for (const index of [4, 3, 2, 1, 0]) storm.rejoin(index, { renewRequest: 'now' })
    storm.join(1)
    const calls = await storm.pass('well', minuteMs)
    expect(calls.filter(({ operation }) => operation === 'get').map(indexOf)).toEqual([4, 5, 0, 1, 2, 3])
  })
})
