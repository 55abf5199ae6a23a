import { describe, expect, it } from 'vitest'
import { Referee } from '../../../demo/referee.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const signal = new AbortController().signal

/** A referee of the targets `a` and `b`, over a cluster and a gateway that are two maps. */
function setUp() {
  const clock = new FakeClock(0)
  const held = new Map<string, string>([
    ['a', 'one'],
    ['b', 'one'],
  ])
  const expiries = new Map<string, number>([['one', 30_000]])
  const told: string[] = []
  const state = { isDown: false }
  const referee = new Referee({
    clock,
    targets: ['a', 'b'],
    gateway: {
      isValid: (token) => (expiries.get(token) ?? 0) > clock.now(),
      expiresAt: (token) => expiries.get(token),
    },
    read: () => (state.isDown ? Promise.reject(new Error('no answer')) : Promise.resolve(new Map(held))),
    onRenewed: (targets, leftMs) => told.push(`${targets.join('+')} renewed with ${leftMs} left`),
    onExpired: (target) => told.push(`${target} expired`),
  })
  return { clock, held, expiries, told, state, referee }
}

describe('the referee of the demo', () => {
  it('counts a sample for each target at each look, and the longest time between two', async () => {
    const { clock, referee } = setUp()
    await referee.look(signal)
    await clock.advance(200)
    await referee.look(signal)
    await clock.advance(700)
    await referee.look(signal)
    expect(referee.findings).toMatchObject({ samples: 6, expired: 0, tampered: 0, maxGapMs: 700 })
  })

  it('finds a token that has run out, by the gateway’s word, and tells it once', async () => {
    const { clock, held, referee, told } = setUp()
    held.delete('b')
    await referee.look(signal)
    await clock.advance(30_000)
    await referee.look(signal)
    await referee.look(signal)
    expect(told).toEqual(['b expired', 'a expired'])
    expect(referee.findings).toMatchObject({ samples: 6, expired: 5 })
    expect(referee.sighting('a')).toEqual({ lifeLeftMs: undefined, renewals: 0, expired: 2 })
  })

  it('counts a renewal with the life that the old token had left, and tells targets of one token together', async () => {
    const { clock, expiries, held, referee, told } = setUp()
    await referee.look(signal)
    await clock.advance(14_000)
    expiries.set('two', 44_000)
    held.set('a', 'two').set('b', 'two')
    await referee.look(signal)
    expect(told).toEqual(['a+b renewed with 16000 left'])
    expect(referee.findings.leastHeadroomMs).toBe(16_000)
    expect(referee.sighting('b')).toEqual({ lifeLeftMs: 30_000, renewals: 1, expired: 0 })
  })

  it('blames nobody for what the demo spoilt, and no renewal is counted when the same token comes back', async () => {
    const { held, referee, told } = setUp()
    await referee.look(signal)
    referee.excuse('a')
    held.set('a', 'overwritten')
    await referee.look(signal)
    held.set('a', 'one')
    referee.endExcuse('a')
    await referee.look(signal)
    expect(referee.findings).toMatchObject({ samples: 6, expired: 0, tampered: 1 })
    expect(told).toEqual([])
  })

  it('blames again for what is not repaired when the excuse ends', async () => {
    const { held, referee, told } = setUp()
    await referee.look(signal)
    referee.excuse('a')
    held.set('a', 'overwritten')
    await referee.look(signal)
    referee.endExcuse('a')
    await referee.look(signal)
    expect(referee.findings).toMatchObject({ expired: 1, tampered: 1 })
    expect(told).toEqual(['a expired'])
  })

  it('counts looks at which the API server did not answer', async () => {
    const { referee, state } = setUp()
    state.isDown = true
    await referee.look(signal)
    expect(referee.findings).toMatchObject({ samples: 0, failedLooks: 1 })
  })
})
