import { describe, expect, it, onTestFinished } from 'vitest'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import { LeaderElector } from '../../../src/kubernetes/leader-election.ts'
import type { KubernetesClient, ObjectKey } from '../../../src/kubernetes/types.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { formatTime } from '../../../src/lib/time.ts'
import { overdueCredentials } from '../../../src/observe/overdue.ts'
import { startHttpServer } from '../../../src/telemetry/http-server.ts'
import { probeRoutes, type ProbeSources, stuckParts } from '../../../src/telemetry/probes.ts'
import { credential, hourMs, membership, metadata, minuteMs, now } from '../../support/builders.ts'
import { FakeClock, settle } from '../../support/fake-clock.ts'
import { failure, readableLog, tokenResult } from '../enos/support.ts'
import {
  answer,
  applicationsOf,
  consumersOf,
  emptyList,
  hangingReconciler,
  LosingClock,
  never,
  silentLog,
  silentStream,
  startWatches,
  workQueue,
} from './stuck-parts.ts'

const second = 1000

/** Sources of a leader that is idle, apart from the test's overrides. */
function sources(clock: FakeClock, overrides: Partial<ProbeSources> = {}): ProbeSources {
  return {
    clock,
    log: silentLog,
    hasSynced: () => true,
    oldestProgressAt: () => clock.now(),
    electedAt: () => undefined,
    isWorking: () => true,
    queues: () => [],
    overdue: () => [],
    ...overrides,
  }
}

describe('stuckParts: a queue', () => {
  function setUp(handlingLimitMs?: () => number) {
    const clock = new LosingClock(now)
    const queue = workQueue(clock, handlingLimitMs)
    const stuck = (): string[] => stuckParts(sources(clock, { queues: () => [queue.snapshot()] }))
    return { clock, queue, stuck }
  }

  it('is stuck when one key is handled for longer than 5 minutes, even if others make progress', async () => {
    const { clock, queue, stuck } = setUp()
    queue.run(2, (key) => (key === 'hangs' ? never() : Promise.resolve()))
    queue.add('hangs')
    for (let minutes = 0; minutes < 5; minutes++) {
      queue.add('works')
      await clock.advance(minuteMs)
      expect(stuck()).toEqual([])
    }
    await clock.advance(1)
    expect(stuck()).toEqual(['queue test: a key has been handled for 300 s'])
  })

  it('is stuck only after the longer limit that its key has', async () => {
    const { clock, queue, stuck } = setUp(() => hourMs)
    queue.run(1, () => never())
    queue.add('a')
    await clock.advance(hourMs)
    expect(stuck()).toEqual([])
    await clock.advance(1)
    expect(stuck()).toEqual(['queue test: a key has been handled for 3600 s'])
  })

  it('is not stuck while keys wait for busy workers that make progress', async () => {
    const { clock, queue, stuck } = setUp()
    queue.run(1, () => new Promise((resolve) => clock.setTimer(4 * minuteMs, resolve)))
    for (const key of ['a', 'b', 'c', 'd', 'e']) queue.add(key)
    for (let minutes = 0; minutes < 20; minutes++) {
      expect(stuck()).toEqual([])
      await clock.advance(minuteMs)
    }
    expect(queue.snapshot()).toMatchObject({ depth: 0, processing: 0 })
  })

  it('is stuck when its workers were never started', async () => {
    const { clock, queue, stuck } = setUp()
    queue.add('a')
    await clock.advance(minuteMs)
    expect(stuck()).toEqual([])
    await clock.advance(1)
    expect(stuck()).toEqual(['queue test: a ready key has not been picked up for more than 60 s'])
  })

  it('is not stuck when workers start on keys that gathered for hours, as in a replica that takes over', async () => {
    const { clock, queue, stuck } = setUp()
    for (const key of ['a', 'b', 'c']) queue.add(key)
    await clock.advance(5 * hourMs)
    queue.run(1, () => new Promise((resolve) => clock.setTimer(minuteMs, resolve)))
    expect(queue.snapshot().depth).toBe(2)
    expect(stuck()).toEqual([])
    await clock.advance(minuteMs)
    expect(stuck()).toEqual([])
  })

  it('is stuck when the timer of a delayed key is lost', async () => {
    const { clock, queue, stuck } = setUp()
    queue.run(1, () => Promise.resolve())
    clock.losesTimers = true
    queue.addAfter('a', hourMs)
    await clock.advance(hourMs + minuteMs)
    expect(stuck()).toEqual([])
    await clock.advance(1)
    expect(stuck()).toEqual(['queue test: a delayed key is overdue by more than 60 s'])
  })

  it('is not stuck after its shutdown', async () => {
    const { clock, queue, stuck } = setUp()
    queue.run(1, () => Promise.resolve())
    queue.addAfter('a', minuteMs)
    await queue.shutDown({ drainMs: 0 })
    await clock.advance(hourMs)
    expect(stuck()).toEqual([])
  })

  it('is never stuck on a standby replica, however many keys gather', async () => {
    const { clock, queue } = setUp()
    queue.add('a')
    await clock.advance(5 * hourMs)
    expect(stuckParts(sources(clock, { isWorking: () => false, queues: () => [queue.snapshot()] }))).toEqual([])
  })
})

describe('stuckParts: reconciliation', () => {
  it('is stuck when a read never ends', async () => {
    const clock = new FakeClock(now)
    const { caches, reconcilerOf } = hangingReconciler(clock, applicationsOf(clock, never))
    const reconciler = reconcilerOf()
    reconciler.run(4)
    caches.secrets.upsert(metadata())
    caches.credentials.upsert(credential())
    const stuck = (): string[] => stuckParts(sources(clock, { queues: () => [reconciler.snapshot()] }))
    await clock.advance(5 * minuteMs)
    expect(stuck()).toEqual([])
    await clock.advance(second)
    expect(stuck()).toEqual(['queue credentials: a key has been handled for 301 s'])
  })

  it('of consumers is stuck when a list of pods takes more than 30 minutes', async () => {
    const clock = new FakeClock(now)
    const consumers = consumersOf(clock, { get: never, list: never, patch: never })
    consumers.propagate({
      credential: credential({ spec: { propagation: 'Immediate' } }),
      fingerprint: '0123456789ab',
      occasion: 'renewal',
      writtenAtWall: now,
    })
    const stuck = (): string[] => stuckParts(sources(clock, { queues: () => consumers.queues() }))
    await clock.advance(30 * minuteMs)
    expect(stuck()).toEqual([])
    await clock.advance(second)
    expect(stuck()).toEqual(['queue pods: a key has been handled for 1801 s'])
  })
})

describe('stuckParts: an attempt to renew', () => {
  it.each([
    ['10 s', 10 * second, 4 * minuteMs + 50 * second],
    ['5 m, the maximum', 5 * minuteMs, 29 * minuteMs],
  ])('is stuck when it takes longer than five calls can with a timeout of %s', async (_, timeoutMs, limitMs) => {
    const clock = new FakeClock(now)
    const applications = applicationsOf(clock, never)
    applications.join('plant-a/wind-farm', membership({ timeoutMs }))
    const queues = () => applications.queues().map((queue) => queue.snapshot())
    const stuck = (): string[] => stuckParts(sources(clock, { queues }))
    await clock.advance(limitMs)
    expect(stuck()).toEqual([])
    await clock.advance(second)
    expect(stuck()).toEqual([`queue applications: a key has been handled for ${limitMs / second + 1} s`])
  })
})

describe('stuckParts: an overdue renewal', () => {
  const key = 'plant-a/wind-farm'
  const overdue = credential({ status: { nextRenewalAt: formatTime(now - 6 * minuteMs) } })

  function setUp(known = [overdue]) {
    const clock = new FakeClock(now)
    const applications = applicationsOf(clock, () => Promise.resolve(tokenResult(clock, 'token', 2 * hourMs)))
    const { caches, reconcilerOf } = hangingReconciler(clock, applications)
    // Before the reconciler exists, so it gets no event for them.
    for (const one of known) caches.credentials.upsert(one)
    const reconciler = reconcilerOf()
    const isQueued = (one: ObjectKey): boolean => reconciler.isQueued(one) && applications.isQueued(one)
    const stuck = (): string[] =>
      stuckParts(sources(clock, { overdue: (dueBefore) => overdueCredentials(caches, isQueued, dueBefore) }))
    return { applications, clock, reconciler, stuck }
  }
  const lost = (name: string): string[] => [`scheduler: the renewal of ${name} is overdue and not queued`]

  it('is stuck when its timer was lost, until it is queued again', () => {
    const { reconciler, stuck } = setUp()
    expect(stuck()).toEqual(lost(key))
    reconciler.enqueue([key])
    expect(stuck()).toEqual([])
  })

  it('is stuck when the timer of its application was lost', async () => {
    const { applications, clock, reconciler, stuck } = setUp()
    reconciler.enqueue([key])
    applications.join(key, membership())
    await clock.advance(0)
    expect(stuck()).toEqual([])
    await applications.shutDown(0)
    expect(stuck()).toEqual(lost(key))
  })

  it('names the first of several and counts the others', () => {
    const others = ['b', 'c'].map((name) => ({ ...overdue, key: `plant-a/${name}` as const, name, uid: name }))
    const { stuck } = setUp([overdue, ...others])
    expect(stuck()).toEqual(lost(`${key} and of 2 more`))
  })

  it.each([
    ['has been due for less than 5 minutes', { status: { nextRenewalAt: formatTime(now - 4 * minuteMs) } }],
    ['is suspended', { spec: { suspend: true }, status: overdue.status }],
    ['is being deleted', { isDeleting: true, status: overdue.status }],
    ['was never synced', {}],
  ])('is not stuck when the resource %s', (_, input) => {
    const { stuck } = setUp([credential(input)])
    expect(stuck()).toEqual([])
  })

  it('is not stuck while its gateway is down, unless the circuit breaker stops probing', async () => {
    const clock = new LosingClock(now)
    const down = failure({ reason: 'GatewayUnreachable' })
    const applications = applicationsOf(clock, () => Promise.resolve({ kind: 'failed', failure: down }))
    const members = Array.from({ length: 30 }, (_, i) => `plant-a/member-${i}` as const)
    for (const member of members) applications.join(member, membership({ appKey: new Sensitive(member) }))
    for (let minutes = 0; minutes < 60; minutes++) {
      await clock.advance(minuteMs)
      expect(members.filter((member) => !applications.isQueued(member))).toEqual([])
    }
    expect(applications.gateways()).toMatchObject([{ isCircuitOpen: true }])
    clock.losesTimers = true
    await clock.advance(10 * minuteMs)
    expect(members.some((member) => !applications.isQueued(member))).toBe(true)
  })
})

describe('stuckParts: a watch', () => {
  async function setUp(request: Parameters<typeof startWatches>[1]) {
    const clock = new FakeClock(now)
    const watches = startWatches(clock, request)
    const own = sources(clock, {
      hasSynced: () => watches.hasSynced(),
      oldestProgressAt: () => watches.oldestProgressAt,
      isWorking: () => watches.hasSynced(),
    })
    await settle()
    return { clock, own, stuck: () => stuckParts(own) }
  }
  const stuckWatch = ['watch: no contact with the API server and no attempt for more than 300 s']
  const isWatch = ({ path }: { readonly path: string }): boolean => path.includes('watch=true')

  it.each([
    ['its list never ends', () => never()],
    [
      'its stream is silent and does not end when aborted',
      (request: { readonly path: string }) => Promise.resolve(isWatch(request) ? silentStream(undefined) : emptyList),
    ],
  ])('is stuck when %s', async (_, request) => {
    const { clock, stuck } = await setUp(request)
    await clock.advance(5 * minuteMs)
    expect(stuck()).toEqual([])
    await clock.advance(1)
    expect(stuck()).toEqual(stuckWatch)
  })

  it.each([
    ['streams are silent and opened again', () => true, undefined],
    ['the API server is down', () => false, 503],
    ['listing is forbidden', () => false, 403],
    ['Retry-After asks for an hour', () => false, 429],
  ])('is not stuck for an hour when %s; ready: %s', async (_, isReady, statusCode) => {
    const { clock, own, stuck } = await setUp((request) => {
      if (statusCode !== undefined) return Promise.resolve(answer(statusCode, '{}', { 'retry-after': '3600' }))
      return Promise.resolve(isWatch(request) ? silentStream(request.signal) : emptyList)
    })
    for (let minutes = 0; minutes < 60; minutes++) {
      await clock.advance(minuteMs)
      expect(stuck()).toEqual([])
    }
    expect(await probeRoutes(own)['/readyz']?.()).toMatchObject({ status: isReady() ? 200 : 503 })
  })
})

describe('stuckParts: leader election', () => {
  type LeaseClient = Pick<KubernetesClient, 'get' | 'create' | 'update'>

  /** No change is seen until the caller ends it. */
  async function* silentWatch(_: unknown, __: unknown, { signal }: { signal: AbortSignal }): AsyncGenerator<never> {
    yield* []
    await new Promise((_resolve, reject) => signal.addEventListener('abort', reject))
  }

  function setUp(client: LeaseClient) {
    const clock = new FakeClock(now)
    const elector = new LeaderElector({
      client: { ...client, watch: silentWatch },
      clock,
      random: () => 1,
      log: silentLog,
      identity: 'this',
      namespace: 'enos-system',
      name: 'enos',
      onStartedLeading: () => undefined,
      onStoppedLeading: () => undefined,
    })
    void elector.run(new AbortController().signal)
    // As on a replica that does not lead.
    const stuck = (): string[] =>
      stuckParts(sources(clock, { electedAt: () => elector.lastRoundAt, isWorking: () => false }))
    return { clock, elector, stuck }
  }
  const echo: LeaseClient['create'] = (_type, _namespace, body) => Promise.resolve(body as never)
  let renewals = 0
  const leaseOfOther = (): never => {
    const spec = { holderIdentity: 'other', leaseDurationSeconds: 15, renewTime: String(++renewals) }
    return { metadata: {}, spec } as never
  }
  const absent = (): Promise<never> => Promise.reject(new ApiError('lease', { code: 404, reason: 'NotFound' }))
  const stuckElection = ['leader election: no attempt to acquire or renew the lease for more than 60 s']

  it('is stuck when a renewal never ends, although the lease has expired', async () => {
    const { clock, elector, stuck } = setUp({ get: absent, create: echo, update: never })
    await clock.advance(second)
    expect(elector.isLeading()).toBe(true)
    await clock.advance(58 * second)
    expect(elector.isLeading()).toBe(false)
    expect(stuck()).toEqual([])
    await clock.advance(5 * second)
    expect(stuck()).toEqual(stuckElection)
  })

  it('is stuck when a call of a standby replica never ends', async () => {
    const { clock, stuck } = setUp({ get: never, create: never, update: never })
    await clock.advance(minuteMs + 1)
    expect(stuck()).toEqual(stuckElection)
  })

  it.each([
    ['another replica leads', () => Promise.resolve(leaseOfOther())],
    ['the API server is down', () => Promise.reject(new ApiError('lease', { code: 503, reason: 'Unavailable' }))],
  ])('is not stuck for an hour while %s', async (_, get: LeaseClient['get']) => {
    const { clock, elector, stuck } = setUp({ get, create: never, update: never })
    for (let minutes = 0; minutes < 60; minutes++) {
      await clock.advance(minuteMs)
      expect(stuck()).toEqual([])
    }
    expect(elector.isLeading()).toBe(false)
  })
})

describe('/healthz', () => {
  it('answers 500 and names the stuck part, logs it once, and answers 200 again afterwards', async () => {
    const clock = new FakeClock(now)
    const queue = workQueue(clock)
    const { log, lines } = readableLog()
    const server = await startHttpServer({
      address: { host: '127.0.0.1', port: 0 },
      routes: probeRoutes(sources(clock, { log, queues: () => [queue.snapshot()] })),
      clock,
      log,
    })
    onTestFinished(() => server.close())
    const probe = async (): Promise<string> => {
      const response = await fetch(`http://127.0.0.1:${server.port}/healthz`)
      return `${response.status} ${await response.text()}`
    }

    const { promise: stuck, resolve: release } = Promise.withResolvers<undefined>()
    queue.run(1, async () => {
      await stuck
    })
    queue.add('a')
    await clock.advance(5 * minuteMs)
    expect(await probe()).toBe('200 ok\n')
    await clock.advance(minuteMs)
    for (let i = 0; i < 3; i++) expect(await probe()).toBe('500 queue test: a key has been handled for 360 s\n')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { level: 'error', stuck: ['queue test: a key has been handled for 360 s'] },
    ])
    release(undefined)
    await settle()
    expect(await probe()).toBe('200 ok\n')
  })
})
