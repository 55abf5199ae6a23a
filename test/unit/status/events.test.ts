import { describe, expect, it } from 'vitest'
import { reasons } from '../../../src/api/v1alpha1/reasons.ts'
import type { Observed } from '../../../src/observe/observed.ts'
import { eventsBetween } from '../../../src/status/events.ts'
import { nextStatus } from '../../../src/status/next-status.ts'
import {
  applicationView,
  heldToken,
  hourMs,
  joined,
  metadata,
  now,
  type ObservedInput,
  status,
  synced,
  targetRecord,
} from '../../support/builders.ts'

const failure = { class: 'retry', reason: 'GatewayUnreachable', message: 'connection refused' } as const
const refused = { class: 'userMustAct', reason: 'InvalidAppSecret', message: 'the gateway refuses (1003)' } as const
const waiting = applicationView({ token: undefined, renewalAtWall: undefined })
const failing = (input: ObservedInput = {}) =>
  synced({ application: applicationView({ failure, failures: 1 }), ...input })
const stalled = synced({ application: applicationView({ failure: refused, failures: 1 }) })
const conflict = joined({ targetMetas: new Map([['enos-token', metadata({ name: 'enos-token' })]]) })
const missing = joined({ credential: { spec: { targets: [{ name: 'enos-token', creationPolicy: 'Merge' }] } } })

/** The events of a resource that goes through these situations in turn, so that a repeated event shows. */
function eventsOf(...situations: readonly (Observed | { one: Observed; at: number })[]): string[][] {
  let present = status()
  return situations.map((situation) => {
    const { at, one } = 'one' in situation ? situation : { one: situation, at: now }
    const next = nextStatus({ ...one, credential: { ...one.credential, status: present } }, undefined, at)
    const events = eventsBetween(present, next)
    present = next
    return events.map(({ action, reason, type }) => `${type} ${reason} ${action}`)
  })
}

describe('eventsBetween', () => {
  it('eventsBetween emits Synced once for the first sync', () => {
    expect(eventsOf(joined({ application: waiting }), synced(), synced())).toEqual([[], ['Normal Synced Sync'], []])
  })

  it('eventsBetween emits nothing for a routine renewal', () => {
    const token = heldToken({ value: 'next', expiresAt: now + 3 * hourMs })
    const record = new Map([['enos-token', targetRecord({ resourceVersion: '21' }, token)]])
    expect(eventsOf(synced(), synced({ application: applicationView({ token }), record }))[1]).toEqual([])
  })

  it('eventsBetween emits a failure with each status that counts it, and Renewed for the recovery', () => {
    const more = failing({ application: applicationView({ failure, failures: 9 }) })
    expect(eventsOf(synced(), failing(), failing(), more, more, synced())).toEqual([
      ['Normal Synced Sync'],
      ['Warning GatewayUnreachable Renew'],
      [],
      ['Warning GatewayUnreachable Renew'],
      [],
      ['Normal Renewed Renew'],
    ])
  })

  it('eventsBetween repeats the event of a stalled resource with each status that counts a failure', () => {
    const more = synced({ application: applicationView({ failure: refused, failures: 4 }) })
    expect(eventsOf(synced(), stalled, more)).toEqual([
      ['Normal Synced Sync'],
      ['Warning InvalidAppSecret Sync'],
      ['Warning InvalidAppSecret Sync'],
    ])
  })

  it('eventsBetween does not repeat a conflict when renewals fail', () => {
    const failingConflict = (failures: number) => ({ ...conflict, application: applicationView({ failure, failures }) })
    expect(eventsOf(failingConflict(1), failingConflict(2))).toEqual([
      ['Warning TargetConflict Sync', 'Warning GatewayUnreachable Renew'],
      ['Warning GatewayUnreachable Renew'],
    ])
  })

  it('eventsBetween emits a failure again when its reason changes', () => {
    const other = { ...failure, reason: 'GatewayError' } as const
    const one = failing({ application: applicationView({ failure: other, failures: 2 }) })
    expect(eventsOf(synced(), failing(), one)[2]).toEqual(['Warning GatewayError Renew'])
  })

  it('eventsBetween emits one event, not two, for a failure that stalls the resource', () => {
    expect(eventsOf(synced(), stalled, stalled)).toEqual([
      ['Normal Synced Sync'],
      ['Warning InvalidAppSecret Sync'],
      [],
    ])
  })

  it('eventsBetween emits TargetConflict, and Synced when the conflict is over', () => {
    expect(eventsOf(conflict, conflict, synced())).toEqual([
      ['Warning TargetConflict Sync'],
      [],
      ['Normal Synced Sync'],
    ])
  })

  it('eventsBetween emits TargetMissing once for a Secret that does not exist', () => {
    expect(eventsOf(missing, missing)).toEqual([['Warning TargetMissing Sync'], []])
  })

  it('eventsBetween emits TokenExpired once', () => {
    const expired = { one: failing(), at: now + hourMs }
    expect(eventsOf(synced(), failing(), expired, expired)).toEqual([
      ['Normal Synced Sync'],
      ['Warning GatewayUnreachable Renew'],
      ['Warning TokenExpired Renew'],
      [],
    ])
  })

  it('eventsBetween emits Synced without Renewed when a sync and a recovery come together', () => {
    const expired = { one: failing(), at: now + hourMs }
    expect(eventsOf(synced(), expired, synced())[2]).toEqual(['Normal Synced Sync'])
  })

  it('eventsBetween emits Renewed when a mended cause is followed by a call that takes a while', () => {
    const mended = synced({ application: applicationView({ token: undefined, renewalAtWall: undefined }) })
    expect(eventsOf(synced(), stalled, mended, mended, synced())).toEqual([
      ['Normal Synced Sync'],
      ['Warning InvalidAppSecret Sync'],
      [],
      [],
      ['Normal Renewed Renew'],
    ])
  })

  it('eventsBetween emits Synced when Stalled ends without a change of Ready or RenewalHealthy', () => {
    const leftover = { class: 'userMustAct', reason: 'KeysLeftBehind', message: 'immutable' } as const
    const stuck = synced({ targetProblems: new Map([['removed', leftover]]) })
    expect(eventsOf(synced(), stuck, synced(), synced())).toEqual([
      ['Normal Synced Sync'],
      ['Warning KeysLeftBehind Sync'],
      ['Normal Synced Sync'],
      [],
    ])
  })

  it('eventsBetween emits TargetWriteFailed once while the write of a new token is retried, and Synced at its end', () => {
    const writeFailure = { class: 'retry', reason: 'TargetWriteFailed', message: 'HTTP 500' } as const
    const retried = synced({ targetProblems: new Map([['enos-token', writeFailure]]) })
    expect(eventsOf(synced(), retried, retried, synced(), synced())).toEqual([
      ['Normal Synced Sync'],
      ['Warning TargetWriteFailed Sync'],
      [],
      ['Normal Synced Sync'],
      [],
    ])
  })

  it('eventsBetween emits RenewBeforeClamped once', () => {
    const one = synced({ application: applicationView({ isClamped: true }) })
    expect(eventsOf(synced(), one, one)).toEqual([['Normal Synced Sync'], ['Warning RenewBeforeClamped Renew'], []])
  })

  it('eventsBetween emits a failed propagation once, and nothing for a successful one', () => {
    const credential = { spec: { propagation: 'Immediate' } }
    const { fingerprint } = heldToken()
    const of = (reason: 'Propagated' | 'PropagationForbidden') => {
      const value = reason === 'Propagated' ? ('True' as const) : ('False' as const)
      return synced({
        credential,
        propagation: { fingerprint, generation: 1, outcome: { status: value, reason, message: '' } },
      })
    }
    expect(
      eventsOf(of('Propagated'), of('PropagationForbidden'), of('PropagationForbidden'), of('Propagated')),
    ).toEqual([['Normal Synced Sync'], ['Warning PropagationForbidden Propagate'], [], []])
  })

  it('eventsBetween gives an event the message of its condition', () => {
    const next = nextStatus(conflict, undefined, now)
    expect(eventsBetween(status(), next)[0]?.note).toBe(next.conditions.find(({ type }) => type === 'Stalled')?.message)
  })

  it('eventsBetween gives events documented reasons only', () => {
    const all = eventsOf(synced(), failing(), stalled, conflict, missing, { one: synced(), at: now + hourMs }, synced())
    for (const [, reason] of all.flat().map((text) => text.split(' '))) expect(Object.keys(reasons)).toContain(reason)
    expect(all.flat().length).toBeGreaterThan(4)
  })

  it('eventsBetween emits nothing between a status and itself', () => {
    for (const one of [synced(), failing(), stalled, conflict, missing]) {
      const same = nextStatus(one, undefined, now)
      expect(eventsBetween(same, same)).toEqual([])
    }
  })
})
