import { describe, expect, it, vi } from 'vitest'
import { WorkQueue, type WorkQueueOptions } from '../../../src/kubernetes/work-queue.ts'
import { FakeClock, settle } from '../../support/fake-clock.ts'

const second = 1000

/** A queue whose handler starts jobs that the test ends. */
function setUp(options: Partial<WorkQueueOptions<string>> = {}) {
  const clock = new FakeClock()
  const onError = vi.fn()
  const queue = new WorkQueue<string>({ name: 'test', clock, random: () => 0, onError, ...options })
  const started: string[] = []
  const jobs = new Map<string, { end: () => void; fail: (error: Error) => void; signal: AbortSignal }>()
  const handler = (key: string, signal: AbortSignal): Promise<void> => {
    started.push(key)
    return new Promise((resolve, reject) => jobs.set(key, { end: resolve, fail: reject, signal }))
  }
  const job = (key: string) => {
    const found = jobs.get(key)
    if (found === undefined) throw new Error(`${key} was never started`)
    return found
  }
  const end = async (key: string): Promise<void> => {
    job(key).end()
    await settle()
  }
  const fail = async (key: string, error: Error): Promise<void> => {
    job(key).fail(error)
    await settle()
  }
  return { clock, queue, onError, started, job, end, fail, handler }
}

describe('WorkQueue.add', () => {
  it('has a key handled once, however often it was added', () => {
    const { queue, started, handler } = setUp()
    queue.add('a')
    queue.add('a')
    queue.add('b')
    queue.add('a')
    expect(queue.snapshot().depth).toBe(2)
    queue.run(8, handler)
    expect(started).toEqual(['a', 'b'])
  })

  it('has a key handled once more when added during its handling', async () => {
    const { queue, started, end, handler } = setUp()
    queue.run(8, handler)
    queue.add('a')
    queue.add('a')
    queue.add('a')
    await settle()
    expect(started).toEqual(['a'])
    await end('a')
    expect(started).toEqual(['a', 'a'])
    await end('a')
    expect(started).toEqual(['a', 'a'])
    expect(queue.snapshot()).toMatchObject({ depth: 0, processing: 0 })
  })

  it('keeps the order of keys', async () => {
    const { queue, started, end, handler } = setUp()
    for (const key of ['a', 'b', 'c']) queue.add(key)
    queue.run(1, handler)
    await end('a')
    await end('b')
    expect(started).toEqual(['a', 'b', 'c'])
  })

  it('puts a key that was added during its handling behind waiting ones', async () => {
    const { clock, queue, started, end, handler } = setUp()
    for (const key of ['a', 'b']) queue.add(key)
    queue.run(1, handler)
    queue.add('a')
    await clock.advance(10)
    await end('a')
    await end('b')
    expect(started).toEqual(['a', 'b', 'a'])
  })

  it('uses no more workers than run was given', async () => {
    const { queue, started, end, handler } = setUp()
    for (const key of ['a', 'b', 'c', 'd']) queue.add(key)
    queue.run(2, handler)
    expect(started).toEqual(['a', 'b'])
    expect(queue.snapshot()).toMatchObject({ processing: 2, depth: 2 })
    await end('b')
    expect(started).toEqual(['a', 'b', 'c'])
  })

  it('may be called by a handler, for its own key or another', async () => {
    const { queue } = setUp()
    const seen: string[] = []
    queue.run(2, async (key) => {
      seen.push(key)
      if (seen.length === 1) {
        queue.add('b')
        queue.add('a')
      }
      await settle()
    })
    queue.add('a')
    await settle()
    await settle()
    await settle()
    expect(seen.toSorted()).toEqual(['a', 'a', 'b'])
  })
})

describe('WorkQueue.addAfter', () => {
  it('makes a key ready after the delay and not before', async () => {
    const { clock, queue, started, handler } = setUp()
    queue.run(8, handler)
    queue.addAfter('a', 5 * second)
    expect(queue.snapshot()).toMatchObject({ depth: 0, delayed: 1 })
    await clock.advance(4999)
    expect(started).toEqual([])
    await clock.advance(1)
    expect(started).toEqual(['a'])
    expect(queue.snapshot().delayed).toBe(0)
    expect(clock.pendingTimers).toBe(0)
  })

  it.each([
    ['first', [1, 5]],
    ['last', [5, 1]],
    ['in the middle', [5, 1, 3]],
  ])('lets the earliest delay win when it was added %s', async (_when, delays) => {
    const { clock, queue, started, end, handler } = setUp()
    queue.run(8, handler)
    for (const seconds of delays) queue.addAfter('a', seconds * second)
    await clock.advance(second)
    expect(started).toEqual(['a'])
    await end('a')
    await clock.advance(60 * second)
    expect(started).toEqual(['a'])
  })

  it('stays in force when its key is added in between', async () => {
    const { clock, queue, started, end, handler } = setUp()
    queue.run(8, handler)
    queue.addAfter('a', 5 * second)
    queue.add('a')
    await settle()
    await end('a')
    expect(started).toEqual(['a'])
    await clock.advance(5 * second)
    expect(started).toEqual(['a', 'a'])
  })

  it('has the key handled once more when due during its handling', async () => {
    const { clock, queue, started, end, handler } = setUp()
    queue.run(8, handler)
    queue.add('a')
    queue.addAfter('a', second)
    await clock.advance(second)
    expect(started).toEqual(['a'])
    await end('a')
    expect(started).toEqual(['a', 'a'])
  })

  it.each([0, -5])('makes a key ready at once for a delay of %d ms', async (delayMs) => {
    const { clock, queue, started, handler } = setUp()
    queue.run(8, handler)
    queue.addAfter('a', delayMs)
    await clock.advance(0)
    expect(started).toEqual(['a'])
  })

  it('orders many keys by due time, with one timer', async () => {
    const { clock, queue, started, handler } = setUp()
    queue.run(100, handler)
    const delays = [7, 3, 9, 1, 5, 8, 2, 6, 4]
    for (const seconds of delays) queue.addAfter(`after-${seconds}`, seconds * second)
    expect(clock.pendingTimers).toBe(1)
    await clock.advance(9 * second)
    expect(started).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].map((seconds) => `after-${seconds}`))
  })
})

describe('WorkQueue.has', () => {
  it('is true for keys that are ready, being processed or delayed, and no others', async () => {
    const { clock, queue, end, handler } = setUp()
    expect(queue.has('a')).toBe(false)
    queue.addAfter('a', second)
    expect(queue.has('a')).toBe(true)
    await clock.advance(second)
    expect(queue.has('a')).toBe(true)
    queue.run(1, handler)
    expect(queue.has('a')).toBe(true)
    await end('a')
    expect(queue.has('a')).toBe(false)
  })
})

describe('WorkQueue.addRateLimited', () => {
  it('doubles the delay each time, up to the cap, until forget', async () => {
    const { clock, queue, started, end, handler } = setUp({ backoff: { baseMs: 100, capMs: 400 } })
    queue.run(8, handler)
    for (const [times, delayMs] of [100, 200, 400, 400].entries()) {
      queue.addRateLimited('a')
      expect(queue.retries('a')).toBe(times + 1)
      await clock.advance(delayMs - 1)
      expect(started).toHaveLength(times)
      await clock.advance(1)
      expect(started).toHaveLength(times + 1)
      await end('a')
    }
    queue.forget('a')
    expect(queue.retries('a')).toBe(0)
    queue.addRateLimited('a')
    await clock.advance(100)
    expect(started).toHaveLength(5)
  })

  it('counts each key separately', () => {
    const { queue } = setUp()
    queue.addRateLimited('a')
    queue.addRateLimited('a')
    queue.addRateLimited('b')
    expect([queue.retries('a'), queue.retries('b'), queue.retries('c')]).toEqual([2, 1, 0])
  })

  it('waits at least minDelayMs', async () => {
    const { clock, queue, started, handler } = setUp()
    queue.run(8, handler)
    queue.addRateLimited('a', { minDelayMs: 30 * second })
    await clock.advance(30 * second - 1)
    expect(started).toEqual([])
    await clock.advance(1)
    expect(started).toEqual(['a'])
  })
})

describe('WorkQueue: a priority', () => {
  it('puts a key before keys of lower priority', async () => {
    const { queue, started, end, handler } = setUp()
    queue.add('low', { priority: -1 })
    queue.add('plain')
    queue.add('high', { priority: 1 })
    queue.run(1, handler)
    await end('high')
    await end('plain')
    expect(started).toEqual(['high', 'plain', 'low'])
  })

  it('is raised, never lowered, for a key that waits', async () => {
    const { queue, started, end, handler } = setUp()
    queue.add('first')
    queue.add('lifted')
    queue.add('lifted', { priority: 2 })
    queue.add('kept', { priority: 1 })
    queue.add('kept')
    expect(queue.snapshot().depth).toBe(3)
    queue.run(1, handler)
    await end('lifted')
    await end('kept')
    await end('first')
    expect(started).toEqual(['lifted', 'kept', 'first'])
  })

  it('of a key added during its handling counts afterwards', async () => {
    const { queue, started, end, handler } = setUp()
    queue.add('a')
    queue.run(1, handler)
    queue.add('b')
    queue.add('a', { priority: 3 })
    queue.add('a')
    await end('a')
    expect(started).toEqual(['a', 'a'])
  })

  it('of a delayed add counts when it is due', async () => {
    const { clock, queue, started, end, handler } = setUp()
    queue.add('busy')
    queue.run(1, handler)
    queue.addAfter('late', second, { priority: 1 })
    await clock.advance(second)
    queue.add('plain')
    await end('busy')
    expect(started).toEqual(['busy', 'late'])
  })

  it.each([
    ['first', true],
    ['last', false],
  ])('of several delayed adds is the highest, where the later one comes %s', async (_, isLaterFirst) => {
    const { clock, queue, started, end, handler } = setUp()
    queue.add('busy')
    queue.run(1, handler)
    const adds = [
      { delayMs: 1, priority: -1 },
      { delayMs: 2, priority: 1 },
    ]
    for (const { delayMs, priority } of isLaterFirst ? adds.toReversed() : adds) {
      queue.addAfter('twice', delayMs, { priority })
    }
    await clock.advance(1)
    queue.add('plain')
    await end('busy')
    expect(started).toEqual(['busy', 'twice'])
  })

  it('grows by one for each 30 s of waiting, so that no key starves', async () => {
    const { clock, queue, started, end, handler } = setUp()
    queue.add('old')
    await clock.advance(30 * second + 1)
    queue.add('new', { priority: 1 })
    queue.add('urgent', { priority: 2 })
    queue.run(1, handler)
    await end('urgent')
    await end('old')
    expect(started).toEqual(['urgent', 'old', 'new'])
  })
})

describe('WorkQueue: a handler that throws', () => {
  it('is reported, and its key handled again with growing delays', async () => {
    const { clock, queue, onError, started, fail, handler } = setUp()
    queue.run(8, handler)
    queue.add('a')
    const error = new Error('boom')
    await fail('a', error)
    expect(onError).toHaveBeenCalledExactlyOnceWith('a', error)
    expect(queue.snapshot()).toMatchObject({ processing: 0, delayed: 1 })
    await clock.advance(199)
    expect(started).toEqual(['a'])
    await clock.advance(1)
    expect(started).toEqual(['a', 'a'])
    await fail('a', error)
    expect(queue.retries('a')).toBe(2)
    await clock.advance(400)
    expect(started).toEqual(['a', 'a', 'a'])
  })

  it('frees its worker for other keys', async () => {
    const { queue, started, fail, handler } = setUp()
    queue.run(1, handler)
    queue.add('a')
    queue.add('b')
    await fail('a', new Error('boom'))
    expect(started).toEqual(['a', 'b'])
  })

  it('may throw before its first await', async () => {
    const { clock, queue, onError } = setUp()
    const handler = vi.fn<() => Promise<void>>().mockImplementationOnce(() => {
      throw new Error('boom')
    })
    handler.mockResolvedValue()
    queue.run(1, handler)
    queue.add('a')
    await clock.advance(200)
    expect(onError).toHaveBeenCalledOnce()
    expect(handler).toHaveBeenCalledTimes(2)
  })
})

describe('WorkQueue.remove', () => {
  it('drops the delay and the retries of a key', async () => {
    const { clock, queue, handler, started } = setUp()
    queue.run(1, handler)
    queue.addRateLimited('deleted')
    queue.addAfter('kept', 60 * second)
    queue.remove('deleted')
    expect([queue.has('deleted'), queue.retries('deleted'), queue.snapshot().delayed]).toEqual([false, 0, 1])
    await clock.advance(60 * second)
    expect(started).toEqual(['kept'])
  })

  it('leaves a key that is ready to its handler', () => {
    const { queue, handler, started } = setUp()
    queue.add('a')
    queue.remove('a')
    queue.run(1, handler)
    expect(started).toEqual(['a'])
  })
})

describe('WorkQueue.markClean', () => {
  it('forgets what was added for a key during its handling', async () => {
    const { queue, started, end, handler } = setUp()
    queue.run(1, handler)
    queue.add('a')
    queue.add('a', { priority: 2 })
    queue.markClean('a')
    await end('a')
    expect(started).toEqual(['a'])
    expect(queue.has('a')).toBe(false)
  })

  it('has a key handled once more that is added later, with the priority of that add', async () => {
    const { queue, started, end, handler } = setUp()
    queue.run(1, handler)
    queue.add('a')
    queue.add('b')
    queue.add('a', { priority: 2 })
    queue.markClean('a')
    queue.add('a', { priority: -1 })
    await end('a')
    await end('b')
    expect(started).toEqual(['a', 'b', 'a'])
  })

  it('leaves other keys, keys that are ready, and delays that are not over', async () => {
    const { clock, queue, started, end, handler } = setUp()
    queue.add('ready')
    queue.markClean('ready')
    queue.run(1, handler)
    queue.addAfter('ready', second)
    queue.markClean('ready')
    queue.add('other')
    queue.markClean('ready')
    await end('ready')
    await end('other')
    await clock.advance(second)
    expect(started).toEqual(['ready', 'other', 'ready'])
  })

  it('forgets a delayed add that is due during the handling, and reports its lateness', async () => {
    const observed = { onAdd: vi.fn(), onRetry: vi.fn(), onStart: vi.fn(), onDone: vi.fn(), onLate: vi.fn() }
    const { clock, queue, started, end, handler } = setUp({ observer: observed })
    queue.run(1, handler)
    queue.add('a')
    queue.addAfter('a', second)
    await clock.advance(1200)
    queue.markClean('a')
    expect(observed.onLate).toHaveBeenCalledExactlyOnceWith('test', 200)
    await end('a')
    await clock.advance(60 * second)
    expect(started).toEqual(['a'])
    expect(observed.onLate).toHaveBeenCalledOnce()
  })

  it('leaves the retry of a handler that throws afterwards', async () => {
    const { clock, queue, started, fail, handler } = setUp()
    queue.run(1, handler)
    queue.add('a')
    queue.add('a')
    queue.markClean('a')
    await fail('a', new Error('boom'))
    expect(started).toEqual(['a'])
    await clock.advance(200)
    expect(started).toEqual(['a', 'a'])
  })
})

describe('WorkQueue.shutDown', () => {
  it('accepts no more keys, drops waiting ones, and resolves when handlers are done', async () => {
    const { clock, queue, started, job, end, handler } = setUp()
    queue.run(1, handler)
    queue.add('a')
    queue.add('a')
    queue.add('b')
    queue.addAfter('c', second)
    const done = vi.fn()
    void queue.shutDown({ drainMs: 5 * second }).then(done)
    queue.add('d')
    queue.addAfter('e', 1)
    queue.addRateLimited('f')
    expect(queue.snapshot()).toMatchObject({ depth: 0, delayed: 0, processing: 1 })
    await clock.advance(4 * second)
    expect(done).not.toHaveBeenCalled()
    expect(job('a').signal.aborted).toBe(false)
    await end('a')
    expect(done).toHaveBeenCalledOnce()
    await clock.advance(600 * second)
    expect(started).toEqual(['a'])
    expect(clock.pendingTimers).toBe(0)
  })

  it('aborts the signal of handlers that outlast drainMs, and awaits them', async () => {
    const { clock, queue, onError, started, job, fail, handler } = setUp()
    queue.run(2, handler)
    queue.add('a')
    queue.add('b')
    const done = vi.fn()
    void queue.shutDown({ drainMs: 5 * second }).then(done)
    await clock.advance(5 * second)
    expect(job('a').signal.aborted).toBe(true)
    expect(job('b').signal.aborted).toBe(true)
    expect(done).not.toHaveBeenCalled()
    await fail('a', new Error('aborted'))
    expect(done).not.toHaveBeenCalled()
    await fail('b', new Error('aborted'))
    expect(done).toHaveBeenCalledOnce()
    expect(onError).toHaveBeenCalledTimes(2)
    await clock.advance(600 * second)
    expect(started).toEqual(['a', 'b'])
  })

  it('resolves at once when no handler runs', async () => {
    const { clock, queue, handler } = setUp()
    queue.run(1, handler)
    queue.addAfter('a', second)
    await queue.shutDown({ drainMs: second })
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('WorkQueue: measurements', () => {
  const observer = () => ({ onAdd: vi.fn(), onRetry: vi.fn(), onStart: vi.fn(), onDone: vi.fn(), onLate: vi.fn() })

  it('count an add once when it makes a key ready', async () => {
    const observed = observer()
    const { queue, end, handler } = setUp({ observer: observed })
    queue.run(1, handler)
    queue.add('a')
    queue.add('a')
    queue.add('a')
    queue.add('b')
    queue.add('b', { priority: 1 })
    expect(observed.onAdd).toHaveBeenCalledTimes(2)
    await end('a')
    // a, b, and once more a after its handling.
    expect(observed.onAdd).toHaveBeenCalledTimes(3)
  })

  it('count no add that is forgotten during the handling of its key', async () => {
    const observed = observer()
    const { queue, end, handler } = setUp({ observer: observed })
    queue.run(1, handler)
    queue.add('a')
    queue.add('a')
    queue.markClean('a')
    await end('a')
    expect(observed.onAdd).toHaveBeenCalledOnce()
    expect(observed.onDone).toHaveBeenCalledOnce()
  })

  it('include the waiting and handling time of a key', async () => {
    const observed = observer()
    const { clock, queue, end, handler } = setUp({ observer: observed })
    queue.add('a')
    await clock.advance(300)
    queue.run(1, handler)
    await clock.advance(700)
    await end('a')
    expect(observed.onStart).toHaveBeenCalledExactlyOnceWith('test', 300)
    expect(observed.onDone).toHaveBeenCalledExactlyOnceWith('test', 700)
    expect(observed.onLate).not.toHaveBeenCalled()
  })

  it('include the lateness of a delayed add', async () => {
    const observed = observer()
    const { clock, queue, end, handler } = setUp({ observer: observed })
    queue.run(1, handler)
    queue.add('busy')
    queue.addAfter('a', second)
    await clock.advance(1500)
    await end('busy')
    expect(observed.onLate).toHaveBeenCalledExactlyOnceWith('test', 500)
  })

  it('have, in a snapshot, the numbers and times of keys by state', async () => {
    const { clock, queue, handler } = setUp()
    queue.run(2, handler)
    queue.add('a')
    await clock.advance(second)
    queue.add('b')
    queue.add('c')
    queue.addAfter('d', 60 * second)
    await clock.advance(second)
    expect(queue.snapshot()).toEqual({
      name: 'test',
      depth: 1,
      processing: 2,
      delayed: 1,
      unfinishedMs: 3 * second,
      maxRunningMs: 2 * second,
      overrunMs: 0,
      neglectedMs: 0,
      overdueMs: 0,
    })
  })

  it('include how long a ready key is neglected while no worker runs', async () => {
    const { clock, queue, handler } = setUp()
    queue.add('a')
    await clock.advance(second)
    queue.add('b')
    await clock.advance(second)
    expect(queue.snapshot().neglectedMs).toBe(2 * second)
    queue.run(1, handler)
    expect(queue.snapshot()).toMatchObject({ depth: 1, neglectedMs: 0 })
  })

  it('include by how much a handling exceeds the limit of its key', async () => {
    const { clock, queue, handler } = setUp({ handlingLimitMs: (key) => (key === 'slow' ? 60 * second : 10 * second) })
    queue.run(2, handler)
    queue.add('slow')
    queue.add('quick')
    await clock.advance(10 * second)
    expect(queue.snapshot().overrunMs).toBe(0)
    await clock.advance(60 * second)
    expect(queue.snapshot()).toMatchObject({ overrunMs: 60 * second, maxRunningMs: 70 * second })
  })
})
