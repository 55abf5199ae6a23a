import { describe, expect, it } from 'vitest'
import type { ObjectKey } from '../../../src/kubernetes/types.ts'
import { createCaches } from '../../../src/observe/caches.ts'
import { RefreshBarrier } from '../../../src/reconcile/refresh-barrier.ts'
import { restarted } from '../../support/builders.ts'
import { FakeClock, settle } from '../../support/fake-clock.ts'

const { credential } = restarted()
const { gateway = '', tokenFingerprint = '' } = credential.status

/** A barrier, and a thousand credentials whose targets hold one token; none has joined. */
function setUp() {
  const clock = new FakeClock(Date.parse(credential.status.expiresAt ?? '') - 60_000)
  const caches = createCaches()
  const keys = Array.from({ length: 1000 }, (_, at): ObjectKey => `plant-a/c${at}`)
  for (const [at, key] of keys.entries()) {
    caches.credentials.upsert({ ...credential, key, namespace: 'plant-a', name: `c${at}`, uid: `uid-${at}` })
  }
  const enqueued: ObjectKey[] = []
  const barrier = new RefreshBarrier({
    caches,
    applications: { isMember: () => false },
    clock,
    enqueue: (some) => void enqueued.push(...some),
  })
  return { barrier, clock, enqueued, keys }
}

function summon(barrier: RefreshBarrier): Promise<void> {
  return barrier.summon(gateway, tokenFingerprint, new AbortController().signal)
}

describe('RefreshBarrier', () => {
  it('a refresh waits until all holders of the token were reconciled, and nothing is kept of them', async () => {
    const { barrier, enqueued, keys } = setUp()
    let isOver = false
    void summon(barrier).then(() => (isOver = true))
    expect(enqueued).toHaveLength(1000)
    expect(barrier.sizes).toEqual({ summoned: 1000, waiters: 1000 })
    for (const [at, key] of keys.entries()) {
      expect(isOver, `before the reconcile of ${at}`).toBe(false)
      const end = barrier.beginReconcile(key)
      barrier.release(key)
      end()
    }
    await settle()
    expect(isOver).toBe(true)
    expect(barrier.sizes).toEqual({ summoned: 0, waiters: 0 })
  })

  it('a refresh waits for at most 5 s, and credentials that never join are kept once', async () => {
    const { barrier, clock, keys } = setUp()
    for (let times = 0; times < 3; times++) {
      let isOver = false
      void summon(barrier).then(() => (isOver = true))
      await clock.advance(5001)
      expect(isOver).toBe(true)
    }
    for (const key of keys) barrier.beginReconcile(key)()
    expect(barrier.sizes).toEqual({ summoned: 1000, waiters: 0 })
  })
})
