import { describe, expect, it } from 'vitest'
import { Referee } from '../../../demo/referee.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const signal = new AbortController().signal

/** A referee of the targets `a` and `b`; cluster and gateway are maps. */
function setUp() {
  const clock = new FakeClock(0)
  const held = new Map<string, string>([
    ['a', 'one'],
    ['b', 'one'],
  ])
  const expiries = new Map<string, number>([['one', 30_000]])
  const reports: string[] = []
  const state = { isDown: false }
  const referee = new Referee({
    clock,
    targets: ['a', 'b'],
    gateway: {
      isValid: (token) => (expiries.get(token) ?? 0) > clock.now(),
      expiresAt: (token) => expiries.get(token),
    },
    getTokens: () => (state.isDown ? Promise.reject(new Error('no answer')) : Promise.resolve(new Map(held))),
    onRenewed: (targets, leftMs) => reports.push(`${targets.join('+')} renewed with ${leftMs} left`),
    onExpired: (target) => reports.push(`${target} expired`),
  })
  return { clock, held, expiries, reports, state, referee }
}

describe('the referee of the demo', () => {
  it('counts a sample for each target in each round, and the longest time between rounds', async () => {
    const { clock, referee } = setUp()
    await referee.sampleAll(signal)
    await clock.advance(200)
    await referee.sampleAll(signal)
    await clock.advance(700)
    await referee.sampleAll(signal)
    expect(referee.findings).toMatchObject({ samples: 6, expired: 0, tampered: 0, maxGapMs: 700 })
  })

  it('counts expired tokens by the gateway’s view, and reports each target once', async () => {
    const { clock, held, referee, reports } = setUp()
    held.delete('b')
    await referee.sampleAll(signal)
    await clock.advance(30_000)
    await referee.sampleAll(signal)
    await referee.sampleAll(signal)
    expect(reports).toEqual(['b expired', 'a expired'])
    expect(referee.findings).toMatchObject({ samples: 6, expired: 5 })
    expect(referee.findingsOf('a')).toEqual({ lifeLeftMs: undefined, renewals: 0, expired: 2 })
  })

  it('counts a renewal with the remaining life of the old token, and reports targets of one token together', async () => {
    const { clock, expiries, held, referee, reports } = setUp()
    await referee.sampleAll(signal)
    await clock.advance(14_000)
    expiries.set('two', 44_000)
    held.set('a', 'two').set('b', 'two')
    await referee.sampleAll(signal)
    expect(reports).toEqual(['a+b renewed with 16000 left'])
    expect(referee.findings.minHeadroomMs).toBe(16_000)
    expect(referee.findingsOf('b')).toEqual({ lifeLeftMs: 30_000, renewals: 1, expired: 0 })
  })

  it('counts damage during an excuse as tampered, and the return of the same token not as a renewal', async () => {
    const { held, referee, reports } = setUp()
    await referee.sampleAll(signal)
    referee.excuse('a')
    held.set('a', 'overwritten')
    await referee.sampleAll(signal)
    held.set('a', 'one')
    referee.endExcuse('a')
    await referee.sampleAll(signal)
    expect(referee.findings).toMatchObject({ samples: 6, expired: 0, tampered: 1 })
    expect(reports).toEqual([])
  })

  it('counts damage after the excuse as expired', async () => {
    const { held, referee, reports } = setUp()
    await referee.sampleAll(signal)
    referee.excuse('a')
    held.set('a', 'overwritten')
    await referee.sampleAll(signal)
    referee.endExcuse('a')
    await referee.sampleAll(signal)
    expect(referee.findings).toMatchObject({ expired: 1, tampered: 1 })
    expect(reports).toEqual(['a expired'])
  })

  it('counts rounds in which the API server did not answer', async () => {
    const { referee, state } = setUp()
    state.isDown = true
    await referee.sampleAll(signal)
    expect(referee.findings).toMatchObject({ samples: 0, failedRounds: 1 })
  })
})
