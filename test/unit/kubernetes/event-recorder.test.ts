import { describe, expect, it, vi } from 'vitest'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import { EventRecorder, type RecordedEvent } from '../../../src/kubernetes/event-recorder.ts'
import type { KubernetesClient, ObjectRef, Patch } from '../../../src/kubernetes/types.ts'
import type { Log } from '../../../src/lib/log.ts'
import { FakeClock, settle } from '../../support/fake-clock.ts'

interface SentEvent {
  readonly metadata: { readonly name: string; readonly namespace: string }
  readonly eventTime: string
  readonly note: string
  readonly series?: { readonly count: number; readonly lastObservedTime: string }
}

function eventOf(
  change: Partial<RecordedEvent> & { readonly name?: string; readonly uid?: string } = {},
): RecordedEvent {
  const { name = 'line-3', uid = 'uid-1', ...rest } = change
  return {
    regarding: {
      apiVersion: 'enos.io/v1alpha1',
      kind: 'EnosAppCredential',
      namespace: 'plant-a',
      name,
      uid,
      resourceVersion: '7',
    },
    type: 'Warning',
    reason: 'GatewayUnreachable',
    action: 'Renew',
    note: 'no answer',
    ...rest,
  }
}

function setUp({ random = () => 0.5 }: { readonly random?: () => number } = {}) {
  const clock = new FakeClock()
  const stored = new Map<string, SentEvent>()
  const failures: ApiError[] = []
  const calls: string[] = []
  const gate = { isClosed: false, waiting: [] as (() => void)[], maxInFlight: 0 }
  let inFlight = 0
  const pass = async (call: string): Promise<void> => {
    calls.push(call)
    gate.maxInFlight = Math.max(gate.maxInFlight, ++inFlight)
    if (gate.isClosed) await new Promise<void>((resolve) => gate.waiting.push(resolve))
    inFlight--
    const failure = failures.shift()
    if (failure !== undefined) throw failure
  }
  const client = {
    create: async (_type: unknown, namespace: string, body: SentEvent) => {
      await pass('create')
      if (stored.has(body.metadata.name)) throw new ApiError('create', { code: 409, reason: 'AlreadyExists' })
      expect(namespace).toBe(body.metadata.namespace)
      stored.set(body.metadata.name, body)
      return body
    },
    patch: async (_type: unknown, ref: ObjectRef, patch: Patch) => {
      await pass('patch')
      const before = stored.get(ref.name)
      if (before === undefined) throw new ApiError('patch', { code: 404, reason: 'NotFound' })
      stored.set(ref.name, { ...before, ...patch.body })
      return before
    },
  } as unknown as Pick<KubernetesClient, 'create' | 'patch'>
  const debug = vi.fn()
  const recorder = new EventRecorder({
    client,
    clock,
    random,
    log: { debug } as unknown as Log,
    reportingController: 'enos.io/credential-operator',
    reportingInstance: 'pod-1',
  })
  const sent = (): SentEvent[] => [...stored.values()]
  return { clock, recorder, sent, stored, failures, calls, gate, debug }
}

const serverError = (): ApiError => new ApiError('create events', { code: 503, reason: 'ServiceUnavailable' })

describe('EventRecorder: one event', () => {
  it('is created as a valid object of events.k8s.io/v1', async () => {
    const { recorder, sent } = setUp()
    recorder.record(eventOf())
    await settle()

    const [event] = sent()
    expect(event).toEqual({
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: event?.metadata.name, namespace: 'plant-a' },
      eventTime: '2026-01-01T00:00:00.000000Z',
      reportingController: 'enos.io/credential-operator',
      reportingInstance: 'pod-1',
      ...eventOf(),
    })
    const micros = (Date.UTC(2026, 0, 1) * 1000).toString(16)
    expect(event?.metadata.name).toBe(`line-3.${micros}8000`)
  })

  it('has a unique name even within one microsecond', async () => {
    const { recorder, sent } = setUp({ random: () => 0 })
    for (const reason of ['A', 'B', 'C']) recorder.record(eventOf({ reason }))
    await settle()
    expect(new Set(sent().map(({ metadata }) => metadata.name)).size).toBe(3)
  })

  it('has a valid name of at most 253 characters', async () => {
    const { recorder, sent } = setUp()
    for (let length = 225; length <= 253; length++) {
      const name = `${'a'.repeat(229).slice(0, length)}${'-x.y'.repeat(10)}`.slice(0, length)
      recorder.record(eventOf({ name, uid: String(length) }))
    }
    await settle()
    expect(sent()).toHaveLength(29)
    for (const { metadata } of sent()) {
      expect(metadata.name.length).toBeLessThanOrEqual(253)
      expect(metadata.name).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/)
    }
  })

  it('has its note cut to 1,024 bytes, between characters', async () => {
    const { recorder, sent } = setUp()
    recorder.record(eventOf({ note: 'é'.repeat(512) }))
    recorder.record(eventOf({ note: 'é'.repeat(513) }))
    await settle()
    expect(sent().map(({ note }) => note)).toEqual(['é'.repeat(512), `${'é'.repeat(510)}…`])
  })
})

describe('EventRecorder: a series', () => {
  it('begins with the first repetition, sent at once', async () => {
    const { clock, recorder, sent, calls } = setUp()
    recorder.record(eventOf())
    await clock.advance(1000)
    recorder.record(eventOf())
    await settle()

    expect(sent()).toHaveLength(1)
    expect(sent()[0]?.series).toEqual({ count: 2, lastObservedTime: '2026-01-01T00:00:01.000000Z' })
    expect(calls).toEqual(['create', 'patch'])
  })

  it('is patched at most once a minute, at last with the final count', async () => {
    const { clock, recorder, sent, calls } = setUp()
    for (let second = 0; second < 120; second++) {
      recorder.record(eventOf())
      await clock.advance(1000)
    }
    await clock.advance(60_000)
    expect(calls).toEqual(['create', 'patch', 'patch', 'patch'])
    expect(sent()[0]?.series).toEqual({ count: 120, lastObservedTime: '2026-01-01T00:01:59.000000Z' })
    expect(clock.pendingTimers).toBe(0)
  })

  it('ends after 6 minutes of silence', async () => {
    const { clock, recorder, sent } = setUp()
    recorder.record(eventOf())
    await clock.advance(359_999)
    recorder.record(eventOf())
    await clock.advance(360_000)
    recorder.record(eventOf())
    await settle()
    expect(sent().map(({ series }) => series?.count)).toEqual([2, undefined])
  })

  it('joins events only when all their fields are equal', async () => {
    const { recorder, sent } = setUp()
    recorder.record(eventOf())
    recorder.record(eventOf({ uid: 'uid-2' }))
    recorder.record(eventOf({ type: 'Normal' }))
    recorder.record(eventOf({ reason: 'Other' }))
    recorder.record(eventOf({ action: 'Sync' }))
    recorder.record(eventOf({ note: 'other' }))
    await settle()
    expect(sent()).toHaveLength(6)
  })

  it('is created anew when the API server has deleted its event', async () => {
    const { clock, recorder, sent, stored, calls } = setUp()
    recorder.record(eventOf())
    await clock.advance(1000)
    stored.clear()
    recorder.record(eventOf())
    await settle()
    expect(calls).toEqual(['create', 'patch', 'create'])
    expect(sent()[0]?.series?.count).toBe(2)
  })

  it('counts repetitions while its event is being sent', async () => {
    const { recorder, sent, gate } = setUp()
    gate.isClosed = true
    recorder.record(eventOf())
    recorder.record(eventOf())
    recorder.record(eventOf())
    gate.isClosed = false
    for (const open of gate.waiting.splice(0)) open()
    await settle()
    expect(sent().map(({ series }) => series?.count)).toEqual([3])
  })
})

describe('EventRecorder: bounds', () => {
  it('allow an object 25 new events at once, then one in 5 minutes', async () => {
    const { clock, recorder, sent } = setUp()
    for (let i = 0; i < 40; i++) recorder.record(eventOf({ note: `note ${i}` }))
    await settle()
    expect(sent()).toHaveLength(25)
    await clock.advance(299_999)
    recorder.record(eventOf({ note: 'too soon' }))
    await clock.advance(1)
    recorder.record(eventOf({ note: 'in time' }))
    recorder.record(eventOf({ note: 'one too many' }))
    recorder.record(eventOf({ uid: 'uid-2', note: 'of another object' }))
    await settle()
    expect(
      sent()
        .slice(25)
        .map(({ note }) => note),
    ).toEqual(['in time', 'of another object'])
  })

  it('allow at most 4 calls in flight', async () => {
    const { recorder, sent, gate } = setUp()
    gate.isClosed = true
    for (let i = 0; i < 20; i++) recorder.record(eventOf({ uid: String(i) }))
    await settle()
    expect(gate.waiting).toHaveLength(4)
    gate.isClosed = false
    for (const open of gate.waiting.splice(0)) open()
    await settle()
    expect(sent()).toHaveLength(20)
    expect(gate.maxInFlight).toBe(4)
  })

  it('keep the newest 1,000 pending events, and log once that the oldest are dropped', async () => {
    const { recorder, sent, gate, debug } = setUp()
    gate.isClosed = true
    for (let i = 0; i < 1104; i++) recorder.record(eventOf({ uid: String(i), note: String(i) }))
    expect(debug).toHaveBeenCalledOnce()
    gate.isClosed = false
    for (const open of gate.waiting.splice(0)) open()
    await recorder.flush(1000)
    const notes = sent().map(({ note }) => Number(note))
    expect(notes).toHaveLength(1004)
    expect(notes.toSorted((a, b) => a - b).slice(0, 6)).toEqual([0, 1, 2, 3, 104, 105])
  })

  it('keep 1,000 series and evict the least recently repeated one', async () => {
    const { recorder, sent } = setUp()
    for (let i = 0; i < 1000; i++) recorder.record(eventOf({ uid: String(i), note: String(i) }))
    await recorder.flush(1000)
    recorder.record(eventOf({ uid: '0', note: '0' }))
    recorder.record(eventOf({ uid: '1000', note: '1000' }))
    recorder.record(eventOf({ uid: '1', note: '1' }))
    recorder.record(eventOf({ uid: '0', note: '0' }))
    await recorder.flush(1000)
    expect(
      sent()
        .filter(({ note }) => note === '0')
        .map(({ series }) => series?.count),
    ).toEqual([3])
    expect(sent().filter(({ note }) => note === '1')).toHaveLength(2)
  })
})

describe('EventRecorder: bounds of its rate limit', () => {
  it('keep the buckets of 1,000 objects and evict the least recently used one', async () => {
    const { recorder, sent } = setUp()
    const burst = (uid: string, from: number): void => {
      for (let i = from; i < from + 30; i++) recorder.record(eventOf({ uid, note: `${uid} ${i}` }))
    }
    const count = (uid: string): number => sent().filter(({ note }) => note.startsWith(`${uid} `)).length
    burst('first', 0)
    await recorder.flush(1000)
    for (let i = 0; i < 999; i++) recorder.record(eventOf({ uid: `other-${i}` }))
    burst('first', 100)
    await recorder.flush(1000)
    expect(count('first')).toBe(25)
    for (let i = 0; i < 1000; i++) recorder.record(eventOf({ uid: `another-${i}` }))
    await recorder.flush(1000)
    burst('first', 200)
    await recorder.flush(1000)
    expect(count('first')).toBe(50)
  })
})

describe('EventRecorder: failures', () => {
  it.each([
    ['no answer', { code: 0, reason: 'Timeout' }],
    ['too many requests', { code: 429, reason: 'TooManyRequests' }],
    ['a server’s error', { code: 503, reason: 'ServiceUnavailable' }],
  ])('are retried once: %s', async (_what, answer) => {
    const { clock, recorder, sent, failures, debug } = setUp()
    failures.push(new ApiError('create events', answer))
    recorder.record(eventOf())
    await clock.advance(5000)
    expect(sent()).toHaveLength(1)
    expect(debug).not.toHaveBeenCalled()
  })

  it('wait as long as the server asks, at most 10 s and jitter', async () => {
    const { clock, recorder, sent, failures } = setUp({ random: () => 0 })
    failures.push(new ApiError('create events', { code: 429, reason: 'TooManyRequests', retryAfterMs: 60_000 }))
    recorder.record(eventOf())
    await clock.advance(9999)
    expect(sent()).toHaveLength(0)
    await clock.advance(1)
    expect(sent()).toHaveLength(1)
  })

  it('drop the event the second time, until it is repeated', async () => {
    const { clock, recorder, sent, failures, calls, debug } = setUp()
    failures.push(serverError(), serverError())
    recorder.record(eventOf())
    await clock.advance(300_000)
    expect(calls).toEqual(['create', 'create'])
    expect(debug).toHaveBeenCalledOnce()
    recorder.record(eventOf())
    await settle()
    expect(sent().map(({ series }) => series?.count)).toEqual([2])
  })

  it.each([
    ['a deleted namespace', { code: 404, reason: 'NotFound' }],
    ['a terminating namespace', { code: 403, reason: 'Forbidden' }],
    ['a refused event', { code: 422, reason: 'Invalid' }],
    ['a replica that does not lead', { code: 0, reason: 'NotLeading' }],
  ])('are not retried: %s', async (_what, answer) => {
    const { clock, recorder, failures, calls, debug } = setUp()
    failures.push(new ApiError('create events', answer))
    recorder.record(eventOf())
    await clock.advance(60_000)
    expect(calls).toEqual(['create'])
    expect(debug).toHaveBeenCalledOnce()
  })

  it('that lose an answer cause no second event', async () => {
    const { clock, recorder, sent, stored, debug } = setUp()
    const set = stored.set.bind(stored)
    vi.spyOn(stored, 'set').mockImplementationOnce((name, event) => {
      set(name, event)
      throw new ApiError('create events', { code: 0, reason: 'ECONNRESET' })
    })
    recorder.record(eventOf())
    await clock.advance(5000)
    expect(sent()).toHaveLength(1)
    expect(debug).not.toHaveBeenCalled()
  })

  it('never reach the caller of record, even for an invalid event', () => {
    const { recorder, debug } = setUp()
    recorder.record({ ...eventOf(), note: undefined as unknown as string })
    expect(debug).toHaveBeenCalledOnce()
  })
})

describe('EventRecorder.flush', () => {
  it('resolves at once when nothing is pending', async () => {
    const { clock, recorder } = setUp()
    await recorder.flush(1000)
    expect(clock.pendingTimers).toBe(0)
  })

  it('sends counts that were not due yet, and leaves no timer', async () => {
    const { clock, recorder, sent } = setUp()
    for (let i = 0; i < 5; i++) {
      recorder.record(eventOf())
      await clock.advance(100)
    }
    expect(sent()[0]?.series?.count).toBe(2)
    await recorder.flush(1000)
    expect(sent()[0]?.series?.count).toBe(5)
    expect(clock.pendingTimers).toBe(0)
  })

  it('also sends repetitions that come while it waits', async () => {
    const { recorder, sent, gate } = setUp()
    gate.isClosed = true
    recorder.record(eventOf())
    await settle()
    const flushed = recorder.flush(1000)
    recorder.record(eventOf())
    gate.isClosed = false
    for (const open of gate.waiting.splice(0)) open()
    await flushed
    expect(sent()[0]?.series?.count).toBe(2)
  })

  it('gives up after its timeout', async () => {
    const { clock, recorder, gate } = setUp()
    gate.isClosed = true
    recorder.record(eventOf())
    let isFlushed = false
    const flushed = recorder.flush(1000).then(() => (isFlushed = true))
    await clock.advance(999)
    expect(isFlushed).toBe(false)
    await clock.advance(1)
    await flushed
    expect(isFlushed).toBe(true)
  })
})
