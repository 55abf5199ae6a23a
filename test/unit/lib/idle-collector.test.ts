import { beforeEach, describe, expect, it } from 'vitest'
import { IdleCollector } from '../../../src/lib/idle-collector.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const mebibyte = 1024 * 1024

describe('IdleCollector', () => {
  let clock: FakeClock
  let cpuMs: number
  let heapMiB: number
  let collections: number
  let collector: IdleCollector

  beforeEach(() => {
    clock = new FakeClock()
    cpuMs = 0
    heapMiB = 100
    collections = 0
    collector = new IdleCollector({
      clock,
      cpuMs: () => cpuMs,
      heapBytes: () => heapMiB * mebibyte,
      collect: () => {
        collections++
      },
    })
    collector.start()
  })

  const spend = async (seconds: number, withShare: number): Promise<void> => {
    for (let second = 0; second < seconds; second++) {
      cpuMs += withShare * 1000
      await clock.advance(1000)
    }
  }

  it('collects once when a burst of work is over', async () => {
    await spend(30, 0.9)
    expect(collections).toBe(0)
    await spend(60, 0.02)
    expect(collections).toBe(1)
    await spend(5, 0.9)
    await spend(5, 0.02)
    expect(collections).toBe(2)
  })

  it('collects after a first sync that waits for a slow API server', async () => {
    await spend(8, 0.42)
    await spend(10, 0.02)
    expect(collections).toBe(1)
  })

  it('waits until the process has little to do', async () => {
    await spend(30, 0.9)
    await spend(300, 0.2)
    expect(collections).toBe(0)
  })

  it('collects nothing during steady work, nor at rest', async () => {
    for (let times = 0; times < 10; times++) {
      await spend(30, 0.2)
      await spend(30, 0.02)
    }
    expect(collections).toBe(0)
  })

  it('leaves a heap alone whose collection would stop the process for more than a second', async () => {
    heapMiB = 513
    await spend(30, 0.9)
    await spend(30, 0.02)
    expect(collections).toBe(0)
  })

  it('ends with stop', async () => {
    await spend(30, 0.9)
    collector.stop()
    await spend(30, 0.02)
    expect(collections).toBe(0)
  })
})
