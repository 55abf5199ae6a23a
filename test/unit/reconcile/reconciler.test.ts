import { describe, expect, it, onTestFinished } from 'vitest'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import type { ObjectKey } from '../../../src/kubernetes/types.ts'
import { createCaches } from '../../../src/observe/caches.ts'
import type { InvalidCredential } from '../../../src/observe/observed.ts'
import { Reconciler } from '../../../src/reconcile/reconciler.ts'
import { createLogger } from '../../../src/telemetry/logger.ts'
import {
  gatewayUrl,
  heldToken,
  hourMs,
  metadata,
  minuteMs,
  now,
  operator,
  ownTarget,
  restarted,
} from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const { credential } = restarted()
const { key } = credential
const { fingerprint } = heldToken()

/** A reconciler after a restart with one synced resource, and an executor that only records actions. */
function world(startedAt = now, isMember = false) {
  /** What the next executions of plans do; when there are none left, the API server fails. */
  const executions: (() => void)[] = []
  const clock = new FakeClock(startedAt)
  const caches = createCaches()
  const done: string[] = []
  const left: ObjectKey[] = []
  const forgotten: ObjectKey[] = []
  const gone: ObjectKey[] = []
  const refusals: ApiError[] = []
  const lease = { isHeld: true }
  const reconciler = new Reconciler({
    caches,
    applications: { isMember: () => isMember, leave: (one) => void left.push(one), view: () => undefined },
    executor: {
      executeAll: (actions) => {
        done.push(...actions.map((action) => action.do))
        const execution = executions.shift()
        if (execution === undefined) return Promise.reject(new ApiError('any', { code: 500, reason: 'InternalError' }))
        execution()
        return Promise.resolve()
      },
      executeOnResource: (actions) => {
        done.push(...actions.map((action) => action.do))
        const [refusal] = refusals
        return refusal === undefined ? Promise.resolve() : Promise.reject(refusal)
      },
    },
    propagations: { propagation: () => undefined, forget: (one) => void forgotten.push(one) },
    configMapsSynced: () => Promise.resolve(),
    clock,
    random: () => 0.5,
    log: createLogger({ level: 'silent', format: 'json', destination: process.stdout }),
    isGatewayAllowed: () => true,
    isLeading: () => lease.isHeld,
    fieldManager: operator,
    onRenewed: () => undefined,
    onGone: (one) => void gone.push(one),
  })
  caches.secrets.upsert(metadata())
  caches.secrets.upsert(ownTarget())
  caches.credentials.upsert(credential)
  onTestFinished(() => reconciler.shutDown(0))
  /** Stores the resource with another version. */
  const write = (version: number, of: object = {}): void => {
    caches.credentials.upsert({ ...credential, ...of, resourceVersion: String(version) })
  }
  const summon = () => {
    let isOver = false
    void reconciler.summonHolders(gatewayUrl, fingerprint, new AbortController().signal).then(() => (isOver = true))
    return () => isOver
  }
  return { caches, clock, done, executions, forgotten, gone, lease, left, reconciler, refusals, summon, write }
}

const invalid: Pick<InvalidCredential, 'spec' | 'problems'> = { spec: undefined, problems: ['spec: odd'] }

describe('summonHolders', () => {
  it.each([
    ['5 s', now, 5000],
    ['a third of the remaining life of the token', now + hourMs - 3000, 1000],
    ['a third of a second', now + hourMs - 1000, 1000 / 3],
  ])('summonHolders waits for the holders no longer than %s', async (_, at, limitMs) => {
    const { clock, summon } = world(at)
    const isOver = summon()
    await clock.advance(limitMs - 1)
    expect(isOver()).toBe(false)
    await clock.advance(1)
    expect(isOver()).toBe(true)
  })

  it('summonHolders does not wait when the token has expired', async () => {
    const { clock, summon } = world(now + hourMs + minuteMs)
    const isOver = summon()
    await clock.advance(0)
    expect(isOver()).toBe(true)
  })

  it('summonHolders enqueues the holders, and waits until they are reconciled', async () => {
    const { clock, done, summon, reconciler } = world()
    const isOver = summon()
    reconciler.run(1)
    await clock.advance(0)
    expect(isOver()).toBe(true)
    expect(done).toEqual(['fetchSources'])
  })
})

it('a refresh that summons a holder in the middle of a pass does not wait for the retry of that pass', async () => {
  const { caches, clock, done, executions, reconciler, summon } = world()
  caches.secrets.upsert({ ...metadata(), resourceVersion: '101' })
  let isOver = (): boolean => false
  executions.push(() => {
    isOver = summon()
  })
  reconciler.run(1)
  await clock.advance(0)
  expect(isOver()).toBe(true)
  expect(done).toEqual(['fetchSources', 'fetchSources', 'fetchSources'])
})

describe('a resource whose spec becomes invalid', () => {
  it('the state of a resource is dropped when its spec becomes invalid, as by a restart', async () => {
    const { clock, done, forgotten, summon, gone, left, reconciler, write } = world()
    const isOver = summon()
    write(101, invalid)
    reconciler.run(1)
    await clock.advance(1000)
    expect(isOver()).toBe(true)
    expect([left, forgotten]).toEqual([[], [key]])
    expect(reconciler.states.get(key)).toBeUndefined()
    expect(done.splice(0)).toEqual(['patchStatus'])
    write(102)
    await clock.advance(1000)
    expect(done).toEqual([])
    // The resource still exists, so its counters stay.
    expect(gone).toEqual([])
  })

  it('a member leaves its application before its invalid spec is reported', async () => {
    const { clock, done, reconciler, write } = world(now, true)
    write(101, invalid)
    reconciler.run(1)
    await clock.advance(1000)
    expect(done).toEqual(['leave', 'patchStatus'])
  })

  it('the report of an invalid spec is retried with backoff, which ends with a successful report', async () => {
    const { clock, done, reconciler, refusals, write } = world()
    refusals.push(new ApiError('patch', { code: 500, reason: 'InternalError' }))
    write(101, invalid)
    reconciler.run(1)
    await clock.advance(10 * minuteMs)
    expect(done.length).toBeGreaterThan(5)
    expect(done.length).toBeLessThan(30)
    refusals.pop()
    await clock.advance(10 * minuteMs)
    refusals.push(new ApiError('patch', { code: 500, reason: 'InternalError' }))
    write(102, invalid)
    await clock.advance(0)
    done.length = 0
    await clock.advance(1000)
    expect(done.length).toBeGreaterThan(0)
  })
})

it('the state and the counters of a deleted resource are dropped', async () => {
  const { caches, clock, forgotten, gone, left, reconciler } = world()
  reconciler.run(1)
  await clock.advance(0)
  caches.credentials.remove(credential)
  await clock.advance(0)
  expect([left, forgotten, gone]).toEqual([[key], [key], [key]])
  expect(reconciler.states.get(key)).toBeUndefined()
})

it('no reconcile begins once the lease has expired', async () => {
  const { caches, clock, done, gone, lease, reconciler, write } = world()
  write(101, invalid)
  reconciler.run(1)
  await clock.advance(0)
  expect(done.splice(0)).toEqual(['patchStatus'])
  lease.isHeld = false
  write(102, invalid)
  await clock.advance(0)
  caches.credentials.remove(credential)
  await clock.advance(10 * minuteMs)
  expect([done, gone]).toEqual([[], []])
})
