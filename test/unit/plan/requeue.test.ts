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

/** A synced resource whose token expires in `ms`. */
function expiringIn(ms: number, input: ObservedInput = {}) {
  const token = heldToken({ expiresAt: now + ms })
  const record = new Map([['enos-token', targetRecord({}, token)]])
  return synced({ application: applicationView({ token }), record, ...input })
}

describe('requeueAt', () => {
  it('requeueAt is in ten minutes when nothing is due earlier', () => {
    expect(requeueAt(synced(), now)).toBe(resyncAt)
    expect(requeueAt(observed(), now)).toBe(resyncAt)
  })

  it('requeueAt is the expiry of the token, which turns Ready False', () => {
    expect(requeueAt(expiringIn(minuteMs), now)).toBe(now + minuteMs)
  })

  it('requeueAt is never in the past', () => {
    expect(requeueAt(expiringIn(minuteMs), now + minuteMs)).toBe(resyncAt + minuteMs)
    expect(requeueAt(expiringIn(0), now)).toBe(resyncAt)
  })

  it('requeueAt is not the renewal of a member, which the application schedules', () => {
    const status = { nextRenewalAt: new Date(now + minuteMs).toISOString() }
    expect(requeueAt(synced({ credential: { status } }), now)).toBe(resyncAt)
  })

  it('requeueAt is the renewal of a resource that was taken over and has not joined', () => {
    const status = { nextRenewalAt: new Date(now + minuteMs).toISOString() }
    expect(requeueAt(restarted({ credential: { status } }), now)).toBe(now + minuteMs)
  })

  it('requeueAt is the renewal on the monotonic clock', () => {
    const status = { nextRenewalAt: new Date(now + minuteMs).toISOString() }
    expect(requeueAt(restarted({ credential: { status }, wallOffset: 10_000 }), now)).toBe(now + minuteMs - 10_000)
  })

  it('requeueAt is not the renewal of a suspended resource', () => {
    const status = { nextRenewalAt: new Date(now + minuteMs).toISOString() }
    expect(requeueAt(restarted({ credential: { spec: { suspend: true }, status } }), now)).toBe(resyncAt)
  })

  it('requeueAt is the expiry of the token of a suspended resource', () => {
    const one = expiringIn(minuteMs, { credential: { spec: { suspend: true } }, membership: undefined })
    expect(requeueAt(one, now)).toBe(now + minuteMs)
  })

  it('requeueAt is the end of the grace period with method Get', () => {
    const polling = expiringIn(minuteMs, {
      application: applicationView({ method: 'Get', token: heldToken({ expiresAt: now + minuteMs }) }),
    })
    expect(requeueAt(polling, now)).toBe(now + minuteMs + 2000)
    expect(requeueAt(polling, now + minuteMs)).toBe(now + minuteMs + 2000)
  })

  it('requeueAt is undefined for a plan with actions, which is followed by the next plan', () => {
    expect(plan(observed(), now)).toMatchObject({ actions: [{ do: 'fetchSources' }], requeueAt: undefined })
  })

  it('requeueAt is set for a plan that writes the status, and after it', () => {
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
  it('validUntil is undefined before a target holds a token', () => {
    expect(validUntil(observed())).toBeUndefined()
  })

  it('validUntil is of the targets that hold a token, when others hold none', () => {
    const spec = { targets: [{ name: 'enos-token' }, { name: 'second' }] }
    const base = synced({ credential: { spec } })
    const record = new Map([...base.record].slice(0, 1))
    expect(validUntil(synced({ credential: { spec }, record }))).toBe(now + hourMs)
  })

  it('validUntil is of the token on the targets, not of the newer one of the application', () => {
    const application = applicationView({ token: heldToken({ value: 'the next', expiresAt: now + 2 * hourMs }) })
    expect(validUntil(synced({ application, membership: membership() }))).toBe(now + hourMs)
  })
})
