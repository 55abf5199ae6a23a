import { describe, expect, it } from 'vitest'
import { validUntil } from '../../../src/observe/validity.ts'
import { plan } from '../../../src/plan/plan.ts'
import { requeueAt } from '../../../src/plan/requeue.ts'
import {
  applicationView,
  heldToken,
  hourMs,
  membership,
  minuteMs,
  now,
  observed,
  type ObservedInput,
  reported,
  restarted,
  synced,
  targetRecord,
} from '../../support/builders.ts'

const resyncAt = now + 10 * minuteMs

/** A resource in order whose token lives for so long. */
function expiringIn(ms: number, input: ObservedInput = {}) {
  const token = heldToken({ expiresAt: now + ms })
  const record = new Map([['enos-token', targetRecord({}, token)]])
  return synced({ application: applicationView({ token }), record, ...input })
}

describe('when a resource is looked at again', () => {
  it('is after ten minutes, however quiet it is', () => {
    expect(requeueAt(synced(), now)).toBe(resyncAt)
    expect(requeueAt(observed(), now)).toBe(resyncAt)
  })

  it('is when its token expires, for Ready falls then', () => {
    expect(requeueAt(expiringIn(minuteMs), now)).toBe(now + minuteMs)
  })

  it('is never a moment that has passed', () => {
    expect(requeueAt(expiringIn(minuteMs), now + minuteMs)).toBe(resyncAt + minuteMs)
    expect(requeueAt(expiringIn(0), now)).toBe(resyncAt)
  })

  it('is not its renewal while it is a member: the application sees to that', () => {
    const status = { nextRenewalAt: new Date(now + minuteMs).toISOString() }
    expect(requeueAt(synced({ credential: { status } }), now)).toBe(resyncAt)
  })

  it('is its renewal when it was taken over and has not joined', () => {
    const status = { nextRenewalAt: new Date(now + minuteMs).toISOString() }
    expect(requeueAt(restarted({ credential: { status } }), now)).toBe(now + minuteMs)
  })

  it('is its renewal on the monotonic clock', () => {
    const status = { nextRenewalAt: new Date(now + minuteMs).toISOString() }
    expect(requeueAt(restarted({ credential: { status }, wallOffset: 10_000 }), now)).toBe(now + minuteMs - 10_000)
  })

  it('is not its renewal while it is suspended', () => {
    const status = { nextRenewalAt: new Date(now + minuteMs).toISOString() }
    expect(requeueAt(restarted({ credential: { spec: { suspend: true }, status } }), now)).toBe(resyncAt)
  })

  it('is the expiry even while it is suspended', () => {
    const one = expiringIn(minuteMs, { credential: { spec: { suspend: true } }, membership: undefined })
    expect(requeueAt(one, now)).toBe(now + minuteMs)
  })

  it('is the end of the grace that method Get has', () => {
    const polling = expiringIn(minuteMs, {
      application: applicationView({ method: 'Get', token: heldToken({ expiresAt: now + minuteMs }) }),
    })
    expect(requeueAt(polling, now)).toBe(now + minuteMs + 2000)
    expect(requeueAt(polling, now + minuteMs)).toBe(now + minuteMs + 2000)
  })

  it('is not known while there is something to do: the next look comes at once', () => {
    expect(plan(observed(), now)).toMatchObject({ actions: [{ do: 'fetchSources' }], requeueAt: undefined })
  })

  it('comes with the status that is written, and after it', () => {
    expect(plan(expiringIn(minuteMs), now)).toMatchObject({
      actions: [{ do: 'patchStatus' }],
      requeueAt: now + minuteMs,
    })
    expect(plan(reported(expiringIn(minuteMs)), now)).toEqual({
      check: undefined,
      reason: 'UpToDate',
      actions: [],
      requeueAt: now + minuteMs,
    })
  })
})

describe('validUntil', () => {
  it('is not known before a target holds a token', () => {
    expect(validUntil(observed())).toBeUndefined()
  })

  it('is known of the targets that hold one, whatever stands in the way of the others', () => {
    const spec = { targets: [{ name: 'enos-token' }, { name: 'second' }] }
    const base = synced({ credential: { spec } })
    const record = new Map([...base.record].slice(0, 1))
    expect(validUntil(synced({ credential: { spec }, record }))).toBe(now + hourMs)
  })

  it('is the expiry of what the targets hold, not of what the application has already', () => {
    const application = applicationView({ token: heldToken({ value: 'the next', expiresAt: now + 2 * hourMs }) })
    expect(validUntil(synced({ application, membership: membership() }))).toBe(now + hourMs)
  })
})
