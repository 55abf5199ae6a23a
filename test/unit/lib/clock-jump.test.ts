import { beforeEach, describe, expect, it } from 'vitest'
import { clockJumpMs, ClockJumpWatch } from '../../../src/lib/clock-jump.ts'
import { FakeClock } from '../../support/fake-clock.ts'

describe('clockJumpMs', () => {
  it.each([
    ['no step', 0, 0],
    ['a step back', -60_000, 0],
    ['a step of 5 s', 5000, 0],
    ['a step of more than 5 s', 5001, 5001],
    ['a night', 8 * 3_600_000, 8 * 3_600_000],
  ])('is, for %s, %i → %i', (_, stepMs, expected) => {
    expect(clockJumpMs(1_000_000, 1_000_000 + stepMs)).toBe(expected)
  })
})

describe('ClockJumpWatch', () => {
  let clock: FakeClock
  let jumps: number[]
  let watch: ClockJumpWatch

  beforeEach(() => {
    clock = new FakeClock()
    jumps = []
    watch = new ClockJumpWatch(clock, (jumpMs) => void jumps.push(jumpMs))
    watch.start()
  })

  it('reports a jump once, within a second', async () => {
    await clock.advance(60_000)
    clock.stepWall(84 * 60_000)
    await clock.advance(1000)
    expect(jumps).toEqual([84 * 60_000])
    await clock.advance(60_000)
    expect(jumps).toHaveLength(1)
  })

  it('adds small steps up', async () => {
    for (let i = 0; i < 6; i++) {
      clock.stepWall(1000)
      await clock.advance(1000)
    }
    expect(jumps).toEqual([6000])
  })

  it('counts from the lowest offset after a step back', async () => {
    clock.stepWall(-3_600_000)
    await clock.advance(1000)
    clock.stepWall(10_000)
    await clock.advance(1000)
    expect(jumps).toEqual([10_000])
  })

  it('reports nothing after stop, and leaves no timer', async () => {
    watch.stop()
    clock.stepWall(60_000)
    await clock.advance(60_000)
    expect(jumps).toEqual([])
    expect(clock.pendingTimers).toBe(0)
  })
})
