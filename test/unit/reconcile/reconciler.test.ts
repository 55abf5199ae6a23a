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

/** A reconciler with one resource that an earlier process left in order; what it does is noted and has no effect. */
function world(startedAt = now, isMember = false) {
  const clock = new FakeClock(startedAt)
  const caches = createCaches()
  const done: string[] = []
  const left: ObjectKey[] = []
  const forgotten: ObjectKey[] = []
  const gone: ObjectKey[] = []
  const refusals: ApiError[] = []
  const reconciler = new Reconciler({
    caches,
    applications: { isMember: () => isMember, leave: (one) => void left.push(one), view: () => undefined },
    executor: {
      executeAll: (actions) => {
        done.push(...actions.map((action) => action.do))
        return Promise.reject(new ApiError('any', { code: 500, reason: 'InternalError' }))
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
    log: createLogger({ level: 'silent', format: 'json' }),
    isGatewayAllowed: () => true,
    fieldManager: operator,
    onRenewed: () => undefined,
    onGone: (one) => void gone.push(one),
  })
  caches.secrets.upsert(metadata())
  caches.secrets.upsert(ownTarget())
  caches.credentials.upsert(credential)
  onTestFinished(() => reconciler.shutDown(0))
  /** Somebody writes the resource. */
  const write = (version: number, of: object = {}): void => {
    caches.credentials.upsert({ ...credential, ...of, resourceVersion: String(version) })
  }
  const gather = () => {
    let isOver = false
    void reconciler.summonHolders(gatewayUrl, fingerprint, new AbortController().signal).then(() => (isOver = true))
    return () => isOver
  }
  return { caches, clock, done, forgotten, gather, gone, left, reconciler, refusals, write }
}

const invalid: Pick<InvalidCredential, 'spec' | 'problems'> = { spec: undefined, problems: ['spec: odd'] }

describe('the holders of a token that is about to be refreshed', () => {
  it.each([
    ['5 s', now, 5000],
    ['a third of the life that the token has left', now + hourMs - 3000, 1000],
    ['a third of a second', now + hourMs - 1000, 1000 / 3],
  ])('are waited for no longer than %s', async (_, at, limitMs) => {
    const { clock, gather } = world(at)
    const isOver = gather()
    await clock.advance(limitMs - 1)
    expect(isOver()).toBe(false)
    await clock.advance(1)
    expect(isOver()).toBe(true)
  })

  it('are not waited for when the token has expired', async () => {
    const { clock, gather } = world(now + hourMs + minuteMs)
    const isOver = gather()
    await clock.advance(0)
    expect(isOver()).toBe(true)
  })

  it('are awakened, and waited for until they were looked at', async () => {
    const { clock, done, gather, reconciler } = world()
    const isOver = gather()
    reconciler.run(1)
    await clock.advance(0)
    expect(isOver()).toBe(true)
    expect(done).toEqual(['fetchSources'])
  })
})

describe('a resource that becomes invalid', () => {
  it('is let go of: when it is valid again, it is as after a restart', async () => {
    const { clock, done, forgotten, gather, gone, left, reconciler, write } = world()
    const isOver = gather()
    write(101, invalid)
    reconciler.run(1)
    await clock.advance(1000)
    expect(isOver()).toBe(true)
    expect([left, forgotten]).toEqual([[], [key]])
    expect(reconciler.state(key)).toBeUndefined()
    expect(done.splice(0)).toEqual(['patchStatus'])
    write(102)
    await clock.advance(1000)
    expect(done).toEqual([])
    // It is still there, and so are its counters.
    expect(gone).toEqual([])
  })

  it('leaves its application first when it is a member', async () => {
    const { clock, done, reconciler, write } = world(now, true)
    write(101, invalid)
    reconciler.run(1)
    await clock.advance(1000)
    expect(done).toEqual(['leave', 'patchStatus'])
  })

  it('is reported ever more rarely while the API server refuses that, and at once after it took it', async () => {
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

it('a resource that is gone is let go of, with its counters', async () => {
  const { caches, clock, forgotten, gone, left, reconciler } = world()
  reconciler.run(1)
  await clock.advance(0)
  caches.credentials.remove(credential)
  await clock.advance(0)
  expect([left, forgotten, gone]).toEqual([[key], [key], [key]])
  expect(reconciler.state(key)).toBeUndefined()
})
