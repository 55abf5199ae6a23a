import { describe, expect, it, vi } from 'vitest'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import { Reflector, type ReflectorOptions } from '../../../src/kubernetes/reflector.ts'
import { Store, type Stored } from '../../../src/kubernetes/store.ts'
import {
  type KubernetesClient,
  type KubernetesObject,
  type ListOptions,
  type ObjectList,
  secrets,
  type WatchEvent,
  type WatchOptions,
} from '../../../src/kubernetes/types.ts'
import type { Log } from '../../../src/lib/log.ts'
import { FakeClock, settle } from '../../support/fake-clock.ts'

const second = 1000

function object(name: string, resourceVersion: number): KubernetesObject {
  return { metadata: { namespace: 'plant-a', name, uid: `uid-${name}`, resourceVersion: String(resourceVersion) } }
}

const stored = ({ metadata }: KubernetesObject): Stored => ({
  namespace: metadata.namespace ?? '',
  name: metadata.name ?? '',
  uid: metadata.uid ?? '',
  resourceVersion: metadata.resourceVersion ?? '',
})

function page(resourceVersion: number, names: readonly string[], next?: string): ObjectList<KubernetesObject> {
  const items = names.map((name) => object(name, resourceVersion))
  return {
    metadata: { resourceVersion: String(resourceVersion), ...(next === undefined ? {} : { continue: next }) },
    items,
  }
}

const versionTooLarge = new ApiError('watch secrets', { code: 504, reason: 'Timeout', isVersionTooLarge: true })

const failure = (code: number, retryAfterMs?: number): ApiError =>
  new ApiError('list secrets', { code, reason: `Reason${code}`, retryAfterMs })

/** A watch fed by the test. Like the client's, it throws when its signal aborts. */
class Feed {
  readonly options: WatchOptions
  readonly #waiting: (() => void)[] = []
  readonly #queue: (WatchEvent<KubernetesObject> | Error | 'end')[] = []

  constructor(options: WatchOptions) {
    this.options = options
    options.signal.addEventListener('abort', () => {
      this.#push(new ApiError('watch secrets', { code: 0, reason: 'Aborted' }))
    })
  }

  async send(type: WatchEvent<KubernetesObject>['type'], subject: KubernetesObject): Promise<void> {
    this.#push({ type, object: subject })
    await settle()
  }

  async end(): Promise<void> {
    this.#push('end')
    await settle()
  }

  async fail(error: Error): Promise<void> {
    this.#push(error)
    await settle()
  }

  async *events(): AsyncGenerator<WatchEvent<KubernetesObject>> {
    while (true) {
      while (this.#queue.length === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve))
      const next = this.#queue.shift()
      if (next === 'end') return
      if (next instanceof Error) throw next
      if (next !== undefined) yield next
    }
  }

  #push(next: WatchEvent<KubernetesObject> | Error | 'end'): void {
    this.#queue.push(next)
    for (const resume of this.#waiting.splice(0)) resume()
  }
}

type Lists = (options: ListOptions, call: number) => ObjectList<KubernetesObject> | Error

/** A reflector against scripted lists and watches fed by hand. */
async function setUp(lists: Lists, more: Partial<ReflectorOptions<KubernetesObject, Stored>> = {}) {
  const clock = new FakeClock()
  const store = new Store()
  const listed: ListOptions[] = []
  /** Lists of a single object, which ask for the present resourceVersion; they answer `present`. */
  const probe = { count: 0, present: Infinity }
  const feeds: Feed[] = []
  const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn() }
  const client = {
    list: (_type: unknown, _namespace: unknown, options: ListOptions = {}) => {
      if (options.limit === 1) {
        probe.count++
        return Promise.resolve(page(probe.present, []))
      }
      listed.push(options)
      const answer = lists(options, listed.length)
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer)
    },
    watch: (_type: unknown, _namespace: unknown, options: WatchOptions) => {
      const feed = new Feed(options)
      feeds.push(feed)
      return feed.events()
    },
  } as Pick<KubernetesClient, 'list' | 'watch'>
  const reflector = new Reflector({
    client,
    type: secrets,
    namespace: undefined,
    transform: stored,
    store,
    clock,
    random: () => 0,
    log: log as unknown as Log,
    ...more,
  })
  const aborter = new AbortController()
  const ended = reflector.run(aborter.signal)
  await settle()
  const feed = (): Feed => {
    const last = feeds.at(-1)
    if (last === undefined) throw new Error('no watch was opened')
    return last
  }
  return { clock, store, listed, probe, feeds, feed, log, reflector, aborter, ended }
}

describe('Reflector: the list', () => {
  it('is read page by page and put into the store when complete', async () => {
    const { listed, reflector, feed, store } = await setUp(
      ({ continue: next }) =>
        next === undefined
          ? page(10, ['a', 'b'], 'two')
          : next === 'two'
            ? page(10, ['c'], 'three')
            : page(10, ['d'], ''),
      { pageSize: 2 },
    )
    expect(listed).toMatchObject([{ limit: 2 }, { limit: 2, continue: 'two' }, { limit: 2, continue: 'three' }])
    expect([...store.keys()]).toEqual(['plant-a/a', 'plant-a/b', 'plant-a/c', 'plant-a/d'])
    expect(reflector.hasSynced()).toBe(true)
    expect(feed().options.resourceVersion).toBe('10')
  })

  it('asks for the newest state', async () => {
    const { listed } = await setUp(() => page(10, []))
    expect(listed[0]?.resourceVersion).toBeUndefined()
  })

  it.each([true, false])('asks, like the watch, for metadata only: %s', async (metadataOnly) => {
    const { listed, feed } = await setUp(() => page(10, []), { metadataOnly })
    expect(listed[0]?.metadataOnly).toBe(metadataOnly)
    expect(feed().options.metadataOnly).toBe(metadataOnly)
  })

  it('changes nothing in the store when it fails half-way', async () => {
    const { store, reflector, feeds } = await setUp(({ continue: next }) =>
      next === undefined ? page(10, ['a'], 'two') : failure(500),
    )
    expect(store.size).toBe(0)
    expect(reflector.hasSynced()).toBe(false)
    expect(feeds).toHaveLength(0)
  })

  it('of one namespace leaves the objects of other namespaces', async () => {
    const store = new Store()
    store.upsert({ namespace: 'plant-b', name: 'x', uid: 'x', resourceVersion: '1' })
    await setUp(() => page(10, ['a']), { store, namespace: 'plant-a' })
    expect([...store.keys()].toSorted()).toEqual(['plant-a/a', 'plant-b/x'])
  })
})

describe('Reflector: synced', () => {
  it('resolves with the first complete list, for callers before and after', async () => {
    const { clock, reflector } = await setUp((_options, call) => (call === 1 ? failure(503) : page(10, [])))
    const before = vi.fn()
    void reflector.synced().then(before)
    await settle()
    expect(before).not.toHaveBeenCalled()
    expect(reflector.hasSynced()).toBe(false)
    await clock.advance(second)
    expect(before).toHaveBeenCalledOnce()
    await reflector.synced()
    expect(reflector.hasSynced()).toBe(true)
  })

  it('stays true through later failures', async () => {
    const { reflector, feed } = await setUp((_options, call) => (call === 1 ? page(10, []) : failure(500)))
    await feed().fail(failure(410))
    expect(reflector.hasSynced()).toBe(true)
  })
})

describe('Reflector: the watch', () => {
  it('brings added, modified and deleted objects into the store', async () => {
    const { store, feed } = await setUp(() => page(10, ['a']))
    await feed().send('ADDED', object('b', 11))
    await feed().send('MODIFIED', object('a', 12))
    expect([...store.values()].map(({ name, resourceVersion }) => [name, resourceVersion])).toEqual([
      ['a', '12'],
      ['b', '11'],
    ])
    await feed().send('DELETED', object('b', 13))
    expect([...store.keys()]).toEqual(['plant-a/a'])
  })

  it.each([
    [0, 300],
    [0.5, 450],
    [0.999, 600],
  ])('is requested for 5 to 10 minutes: with random %d for %d s', async (share, seconds) => {
    const { feed } = await setUp(() => page(10, []), { random: () => share })
    expect(feed().options.timeoutSeconds).toBe(seconds)
  })

  it('is reopened at once after its end, from the last bookmark, without a list', async () => {
    const { clock, store, listed, feeds, feed } = await setUp(() => page(10, []))
    await feed().send('ADDED', object('a', 11))
    await feed().send('BOOKMARK', { metadata: { resourceVersion: '40' } })
    await clock.advance(300 * second)
    await feed().end()
    expect(feeds.map(({ options }) => options.resourceVersion)).toEqual(['10', '40'])
    expect(listed).toHaveLength(1)
    expect([...store.keys()]).toEqual(['plant-a/a'])
  })

  it('resumes from the last event when no bookmark came', async () => {
    const { clock, feeds, feed } = await setUp(() => page(10, []))
    await feed().send('ADDED', object('a', 11))
    await feed().fail(failure(0))
    await clock.advance(second)
    expect(feeds.at(-1)?.options.resourceVersion).toBe('11')
  })

  it('is not reopened in a hot loop when the server ends it at once', async () => {
    const { clock, feeds, feed } = await setUp(() => page(10, []))
    const counts: number[] = []
    for (let i = 0; i < 4; i++) {
      await feed().end()
      counts.push(feeds.length)
      await clock.advance(800 * 2 ** i - 1)
      counts.push(feeds.length)
      await clock.advance(1)
    }
    expect(counts).toEqual([1, 1, 2, 2, 3, 3, 4, 4])
  })
})

describe('Reflector: 410 Gone', () => {
  it('to a watch leads to a new list at once, which includes the missed changes', async () => {
    const { store, listed, feeds, feed } = await setUp((_options, call) =>
      call === 1 ? page(10, ['a', 'b']) : page(20, ['b', 'c']),
    )
    await feed().fail(failure(410))
    expect(listed).toHaveLength(2)
    expect([...store.keys()].toSorted()).toEqual(['plant-a/b', 'plant-a/c'])
    expect(feeds.at(-1)?.options.resourceVersion).toBe('20')
  })

  it('to every list causes no hot loop', async () => {
    const { clock, listed } = await setUp(() => failure(410))
    // The first 410 is followed by a list at once, the second by a pause.
    expect(listed).toHaveLength(2)
    await clock.advance(60 * second)
    expect(listed.length).toBeLessThan(10)
    expect(listed.length).toBeGreaterThan(4)
  })

  it('to every watch causes no hot loop', async () => {
    const { clock, listed, feed } = await setUp(() => page(10, []))
    await feed().fail(failure(410))
    expect(listed).toHaveLength(2)
    await feed().fail(failure(410))
    expect(listed).toHaveLength(2)
    await clock.advance(1600)
    expect(listed).toHaveLength(3)
  })

  it('between pages starts the list anew', async () => {
    const { store, listed } = await setUp((_options, call) =>
      call === 1 ? page(10, ['a'], 'two') : call === 2 ? failure(410) : page(20, ['b']),
    )
    expect(listed.map(({ continue: next }) => next)).toEqual([undefined, 'two', undefined])
    expect([...store.keys()]).toEqual(['plant-a/b'])
  })
})

describe('Reflector: a state that went back, as after a restore of etcd', () => {
  const versions = (store: Store<Stored>): string[] =>
    [...store.values()].map(({ name, resourceVersion }) => `${name}@${resourceVersion}`).toSorted()

  it('is found after a failed watch, and listed as it is', async () => {
    const { clock, feed, feeds, listed, log, probe, store } = await setUp((_options, call) =>
      call === 1 ? page(100, ['kept', 'lost']) : page(40, ['kept', 'new']),
    )
    await feed().send('ADDED', object('later', 110))
    probe.present = 40
    await feed().fail(failure(0))
    await clock.advance(second)
    expect(listed).toHaveLength(2)
    expect(versions(store)).toEqual(['kept@40', 'new@40'])
    expect(feeds.at(-1)?.options.resourceVersion).toBe('40')
    expect(log.warn).toHaveBeenCalledWith(
      { resource: 'secrets', from: '110', to: '40' },
      'API server went back to an older revision, cache replaced',
    )
  })

  it('is found after a watch that ended without any event', async () => {
    const { clock, feed, listed, probe, store } = await setUp((_options, call) => page(call === 1 ? 100 : 40, ['a']))
    probe.present = 40
    await clock.advance(300 * second)
    await feed().end()
    expect(listed).toHaveLength(2)
    expect(versions(store)).toEqual(['a@40'])
  })

  it('is not looked for after a watch that received an event and ended normally', async () => {
    const { clock, feed, probe } = await setUp(() => page(100, []))
    await feed().send('BOOKMARK', { metadata: { resourceVersion: '101' } })
    await clock.advance(300 * second)
    await feed().end()
    expect(probe.count).toBe(0)
  })

  it('is looked for by one small list, and a state that did not go back is watched on', async () => {
    const { clock, feed, feeds, listed, probe } = await setUp(() => page(100, []))
    probe.present = 100
    await feed().fail(failure(0))
    await clock.advance(second)
    expect(probe.count).toBe(1)
    expect(listed).toHaveLength(1)
    expect(feeds.at(-1)?.options.resourceVersion).toBe('100')
  })

  it('is found by a bookmark of an older version', async () => {
    const { feed, listed, store } = await setUp((_options, call) => page(call === 1 ? 100 : 40, ['a']))
    await feed().send('BOOKMARK', { metadata: { resourceVersion: '39' } })
    expect(listed).toHaveLength(2)
    expect(versions(store)).toEqual(['a@40'])
  })

  it('is found by the error that the resourceVersion is too large', async () => {
    const { feed, listed, store } = await setUp((_options, call) => page(call === 1 ? 100 : 40, ['a']))
    await feed().fail(versionTooLarge)
    expect(listed).toHaveLength(2)
    expect(versions(store)).toEqual(['a@40'])
  })

  it('causes no hot loop when every watch finds its resourceVersion too large', async () => {
    const { clock, feed, listed } = await setUp(() => page(100, []))
    await feed().fail(versionTooLarge)
    await feed().fail(versionTooLarge)
    expect(listed).toHaveLength(2)
    await clock.advance(1600)
    expect(listed).toHaveLength(3)
  })

  it('is no reason to lose the answer to an own write when the list is not older than the last event', async () => {
    const { feed, store } = await setUp((_options, call) => page(call === 1 ? 100 : 104, ['a']))
    await feed().send('MODIFIED', object('a', 104))
    store.upsert(stored(object('a', 105)))
    store.upsert(stored(object('made', 106)))
    await feed().fail(failure(410))
    expect(versions(store)).toEqual(['a@105', 'made@106'])
  })

  it('is not assumed from pages of several versions', async () => {
    const { feed, store } = await setUp(({ continue: next }, call) =>
      call === 1 ? page(100, ['a', 'b']) : next === undefined ? page(40, ['a'], 'two') : page(41, []),
    )
    await feed().fail(failure(410))
    expect(versions(store)).toEqual(['a@100', 'b@100'])
  })

  it('of one namespace leaves other namespaces unchanged', async () => {
    const store = new Store()
    store.upsert({ namespace: 'plant-b', name: 'x', uid: 'x', resourceVersion: '90' })
    const { feed } = await setUp((_options, call) => (call === 1 ? page(100, ['a']) : page(40, [])), {
      store,
      namespace: 'plant-a',
    })
    await feed().fail(failure(410))
    expect(versions(store)).toEqual(['x@90'])
  })
})

describe('Reflector: any other failure', () => {
  it('is retried for ever with a delay that grows to 30 s', async () => {
    const { clock, listed, aborter, ended } = await setUp(() => failure(503))
    for (const delayMs of [800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]) {
      const before = listed.length
      await clock.advance(delayMs - 1)
      expect(listed).toHaveLength(before)
      await clock.advance(1)
      expect(listed).toHaveLength(before + 1)
    }
    aborter.abort()
    await ended
  })

  it('is retried no sooner than Retry-After allows', async () => {
    const { clock, listed } = await setUp((_options, call) => (call === 1 ? failure(429, 7 * second) : page(10, [])))
    await clock.advance(7 * second - 1)
    expect(listed).toHaveLength(1)
    await clock.advance(1)
    expect(listed).toHaveLength(2)
  })

  it('of a watch leads to another watch from the same version, not to a list', async () => {
    const { clock, listed, feeds, feed } = await setUp(() => page(10, []))
    await feed().fail(failure(500))
    expect(feeds).toHaveLength(1)
    await clock.advance(800)
    expect(feeds).toHaveLength(2)
    expect(feeds[1]?.options.resourceVersion).toBe('10')
    expect(listed).toHaveLength(1)
  })

  it('counts as the first after the watch received an event', async () => {
    const { clock, feeds, feed } = await setUp(() => page(10, []))
    for (const delayMs of [800, 1600]) {
      await feed().fail(failure(0))
      await clock.advance(delayMs)
    }
    await feed().send('BOOKMARK', { metadata: { resourceVersion: '11' } })
    await feed().fail(failure(0))
    const before = feeds.length
    await clock.advance(800)
    expect(feeds).toHaveLength(before + 1)
  })

  it('counts as the first after a minute of healthy silence', async () => {
    const { clock, feeds, feed } = await setUp(() => page(10, []))
    for (const delayMs of [800, 1600]) {
      await feed().fail(failure(0))
      await clock.advance(delayMs)
    }
    await clock.advance(60 * second)
    await feed().fail(failure(0))
    const before = feeds.length
    await clock.advance(800)
    expect(feeds).toHaveLength(before + 1)
  })

  const refused = new ApiError('list secrets', { code: 403, reason: 'Forbidden', isPermissionMissing: true })
  const advice = 'grant the operator get, list and watch of secrets in all namespaces: deploy/ has the roles'
  it.each([
    ['list secrets: HTTP 503 Reason503', failure(503), {}],
    ['the API server does not serve secrets: install its CustomResourceDefinition', failure(404), {}],
    ['list secrets: HTTP 403 Forbidden', refused, { advice }],
  ])('is logged once for its kind: %s', async (detail, error, more) => {
    const { clock, log } = await setUp((_options, call) => (call <= 3 ? error : page(10, [])))
    await clock.advance(20 * second)
    const fields = { resource: 'secrets', detail, ...more }
    expect(log.warn).toHaveBeenCalledExactlyOnceWith(fields, 'list or watch failed, retrying')
  })

  it('is logged again after a recovery, which is logged as well', async () => {
    const { clock, log, feed } = await setUp(() => page(10, []))
    await feed().fail(failure(500))
    await clock.advance(second)
    expect(log.info).not.toHaveBeenCalled()
    await feed().send('BOOKMARK', { metadata: { resourceVersion: '11' } })
    expect(log.info).toHaveBeenCalledOnce()
    await feed().fail(failure(500))
    expect(log.warn).toHaveBeenCalledTimes(2)
  })

  it('of the transform is retried as well', async () => {
    const { clock, reflector } = await setUp(() => page(10, ['a']), {
      transform: vi.fn(stored).mockImplementationOnce(() => {
        throw new Error('odd')
      }),
    })
    expect(reflector.hasSynced()).toBe(false)
    await clock.advance(second)
    expect(reflector.hasSynced()).toBe(true)
  })

  it('of the transform in a watch loses no event: the next watch repeats it', async () => {
    const transform = vi.fn(stored)
    const { clock, store, listed, feeds, feed } = await setUp(() => page(10, []), { transform })
    await feed().send('ADDED', object('a', 11))
    transform.mockImplementationOnce(() => {
      throw new Error('odd')
    })
    await feed().send('ADDED', object('b', 12))
    await clock.advance(second)
    expect(feeds.at(-1)?.options.resourceVersion).toBe('11')
    await feed().send('ADDED', object('b', 12))
    expect([...store.keys()]).toEqual(['plant-a/a', 'plant-a/b'])
    expect(listed).toHaveLength(1)
  })

  it('of the transform at the same event every time is retried with growing delays and logged once', async () => {
    const transform = vi.fn(stored).mockImplementation(() => {
      throw new Error('odd')
    })
    const { clock, feeds, feed, log } = await setUp(() => page(10, []), { transform })
    for (const delayMs of [800, 1600, 3200]) {
      await feed().send('ADDED', object('a', 11))
      const before = feeds.length
      await clock.advance(delayMs - 1)
      expect(feeds).toHaveLength(before)
      await clock.advance(1)
      expect(feeds).toHaveLength(before + 1)
    }
    expect(log.warn).toHaveBeenCalledOnce()
  })
})

describe('Reflector: run', () => {
  it('ends when its signal aborts during a watch, without a log line', async () => {
    const { aborter, ended, log, clock } = await setUp(() => page(10, []))
    aborter.abort()
    await ended
    expect(log.warn).not.toHaveBeenCalled()
    expect(clock.pendingTimers).toBe(0)
  })

  it('ends when its signal aborts during a pause', async () => {
    const { aborter, clock, ended, listed } = await setUp(() => failure(503))
    aborter.abort()
    await ended
    expect(clock.pendingTimers).toBe(0)
    expect(listed).toHaveLength(1)
  })

  it('leaves the store unchanged when its signal aborts during a list', async () => {
    const stop = new AbortController()
    const store = new Store()
    const reflector = new Reflector({
      client: {
        list: (() => {
          stop.abort()
          return Promise.resolve(page(10, ['a']))
        }) as KubernetesClient['list'],
        watch: () => {
          throw new Error('a watch was opened after the end')
        },
      },
      type: secrets,
      namespace: undefined,
      transform: stored,
      store,
      clock: new FakeClock(),
      random: () => 0,
      log: {} as Log,
    })
    await reflector.run(stop.signal)
    expect(store.size).toBe(0)
    expect(reflector.hasSynced()).toBe(false)
  })
})

describe('Reflector: progress and contact', () => {
  it('progress advances with each event, bookmark and attempt, and stands still in silence', async () => {
    const { clock, reflector, feed } = await setUp(() => page(10, []))
    const startedAt = clock.now()
    expect(reflector.lastProgressAt).toBe(startedAt)
    await clock.advance(40 * second)
    expect(reflector.lastProgressAt).toBe(startedAt)
    await feed().send('BOOKMARK', { metadata: { resourceVersion: '11' } })
    expect(reflector.lastProgressAt).toBe(startedAt + 40 * second)
    await clock.advance(5 * second)
    await feed().fail(failure(500))
    expect(reflector.lastProgressAt).toBe(startedAt + 45 * second)
    await clock.advance(second)
    expect(reflector.lastProgressAt).toBe(startedAt + 45.8 * second)
  })

  it('contact advances with each answer, and stands still while attempts fail', async () => {
    const { clock, reflector, feed } = await setUp(() => page(10, []))
    const startedAt = clock.now()
    await clock.advance(40 * second)
    expect(reflector.lastContactAt).toBe(startedAt)
    await feed().send('BOOKMARK', { metadata: { resourceVersion: '11' } })
    expect(reflector.lastContactAt).toBe(startedAt + 40 * second)
    await clock.advance(5 * second)
    await feed().fail(failure(500))
    expect(reflector.lastContactAt).toBe(startedAt + 40 * second)
    await clock.advance(5 * second)
    await feed().end()
    expect(reflector.lastContactAt).toBe(startedAt + 50 * second)
  })
})

describe('Reflector: own writes', () => {
  it('an event of a version that the store has is not transformed again', async () => {
    const transform = vi.fn(stored)
    const { store, feeds } = await setUp(() => page(10, []), { transform })
    store.upsert(stored(object('own', 11)))
    await feeds[0]?.send('ADDED', object('own', 11))
    expect(transform).not.toHaveBeenCalled()

    await feeds[0]?.send('MODIFIED', object('own', 12))
    expect(transform).toHaveBeenCalledTimes(1)
    expect(store.get('plant-a/own')?.resourceVersion).toBe('12')
  })
})
