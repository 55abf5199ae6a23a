import { describe, expect, it } from 'vitest'
import { createCaches } from '../../../src/observe/caches.ts'
import { noteCorrection } from '../../../src/observe/contest.ts'
import { newState } from '../../../src/observe/credential-state.ts'
import { samplesOf } from '../../../src/telemetry/credential-samples.ts'
import { credential, minuteMs, now } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'

describe('the sample of a credential', () => {
  it('counts the contested targets of the spec, until the contests are over', async () => {
    const clock = new FakeClock(now)
    const caches = createCaches()
    const present = credential({ spec: { targets: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] } })
    caches.credentials.upsert(present)
    const state = newState(present, now, 0)
    const contested = () => [...samplesOf(caches, () => state, clock)].map((one) => one.contestedTargets)
    const interference = { isTokenLost: true, writer: 'rival' }
    const corrected = (name: string): void => {
      state.contests.set(name, noteCorrection(state.contests.get(name), 'f', interference, clock.now()))
    }
    expect(contested()).toEqual([0])
    for (const name of ['a', 'a', 'a', 'b', 'b', 'b', 'c', 'removed', 'removed', 'removed']) corrected(name)
    expect(contested()).toEqual([2])
    await clock.advance(10 * minuteMs)
    expect(contested()).toEqual([0])
  })

  it('has no contested targets before the first pass', () => {
    const clock = new FakeClock(now)
    const caches = createCaches()
    caches.credentials.upsert(credential())
    expect([...samplesOf(caches, () => undefined, clock)].map((one) => one.contestedTargets)).toEqual([0])
  })
})
