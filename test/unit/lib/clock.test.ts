import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { sleep, SystemClock } from '../../../src/lib/clock.ts'
import { FakeClock, settle } from '../../support/fake-clock.ts'

const day = 24 * 60 * 60 * 1000

describe('SystemClock, over long times', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
  })

  afterEach(() => {
    vi.useRealTimers()
  })

  it.each([0, 1, 1000, 60 * 60 * 1000, 60 * 60 * 1000 + 1, day, 30 * day])(
    'calls back once after %d ms and not before',
    (delayMs) => {
      const callback = vi.fn()
      new SystemClock().setTimer(delayMs, callback)
      if (delayMs > 1) {
        vi.advanceTimersByTime(delayMs - 1)
        expect(callback).not.toHaveBeenCalled()
      }
      vi.advanceTimersByTime(2)
      expect(callback).toHaveBeenCalledOnce()
      vi.advanceTimersByTime(2 * day)
      expect(callback).toHaveBeenCalledOnce()
    },
  )

  it('calls back at once for a negative delay, but never within setTimer', () => {
    const callback = vi.fn()
    new SystemClock().setTimer(-5000, callback)
    expect(callback).not.toHaveBeenCalled()
    vi.advanceTimersByTime(0)
    expect(callback).toHaveBeenCalledOnce()
  })

  it('does not call back after cancel, even when a long delay was re-armed', () => {
    const callback = vi.fn()
    const timer = new SystemClock().setTimer(2 * day, callback)
    vi.advanceTimersByTime(day)
    timer.cancel()
    vi.advanceTimersByTime(2 * day)
    expect(callback).not.toHaveBeenCalled()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('keeps its monotonic clock when the wall clock steps', () => {
    const clock = new SystemClock()
    const before = clock.now()
    const callback = vi.fn()
    clock.setTimer(1000, callback)
    vi.setSystemTime(clock.wall() + 10 * day)
    expect(clock.now() - before).toBeLessThan(1000)
    expect(clock.wall() - before).toBeGreaterThanOrEqual(9 * day)
    vi.advanceTimersByTime(999)
    expect(callback).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(callback).toHaveBeenCalledOnce()
  })
})

describe('SystemClock', () => {
  it('starts its monotonic clock at the wall clock', () => {
    const clock = new SystemClock()
    expect(Math.abs(clock.now() - clock.wall())).toBeLessThan(1000)
  })

  it('never calls back before the delay has passed', async () => {
    const clock = new SystemClock()
    for (const delayMs of [1, 3, 7.5]) {
      const startedAt = clock.now()
      await sleep(clock, delayMs)
      expect(clock.now() - startedAt).toBeGreaterThanOrEqual(delayMs)
    }
  })
})

describe('sleep', () => {
  it('resolves after the delay', async () => {
    const clock = new FakeClock()
    const onResolved = vi.fn()
    void sleep(clock, 1000).then(onResolved)
    await clock.advance(999)
    expect(onResolved).not.toHaveBeenCalled()
    await clock.advance(1)
    expect(onResolved).toHaveBeenCalledOnce()
  })

  it('rejects with the reason as soon as its signal aborts, and leaves no timer', async () => {
    const clock = new FakeClock()
    const aborter = new AbortController()
    const asleep = sleep(clock, 1000, aborter.signal)
    const reason = new Error('enough')
    aborter.abort(reason)
    await expect(asleep).rejects.toBe(reason)
    expect(clock.pendingTimers).toBe(0)
  })

  it('rejects at once when its signal has already aborted', async () => {
    const clock = new FakeClock()
    const reason = new Error('enough')
    await expect(sleep(clock, 1000, AbortSignal.abort(reason))).rejects.toBe(reason)
    expect(clock.pendingTimers).toBe(0)
  })

  it('leaves no listener on its signal after it resolved', async () => {
    const clock = new FakeClock()
    const { signal } = new AbortController()
    const removed = vi.spyOn(signal, 'removeEventListener')
    const asleep = sleep(clock, 10, signal)
    await clock.advance(10)
    await asleep
    await settle()
    expect(removed).toHaveBeenCalledWith('abort', expect.any(Function))
  })
})
