import { describe, expect, it } from 'vitest'
import { newState } from '../../../src/observe/credential-state.ts'
import { plan } from '../../../src/plan/plan.ts'
import { firstVerificationAt } from '../../../src/plan/up-to-date.ts'
import {
  appKeyFingerprint,
  condition,
  gatewayUrl,
  heldToken,
  hourMs,
  membership,
  metadata,
  minuteMs,
  now,
  observed,
  type ObservedInput,
  ownTarget,
  restarted,
} from '../../support/builders.ts'

describe('stopWhenUpToDate', () => {
  it('a restart plans no action when nothing has changed', () => {
    expect(plan(restarted(), now).actions).toEqual([])
  })

  it('a restart plans no action with the records that the status has of the targets', () => {
    const { credential } = restarted()
    const { record } = newState(credential, now, 0)
    expect(plan(restarted({ record }), now).actions).toEqual([])
  })

  it('a restart plans no action for keys with source values while the sources are the same', () => {
    const spec = { targets: [{ name: 'enos-token', data: { secret: '{{ appSecret }}' } }] }
    const { credential } = restarted({ credential: { spec } })
    const { record } = newState(credential, now, 0)
    expect(plan(restarted({ credential: { spec }, record }), now).actions).toEqual([])
  })

  it('a restart converts the times of the status to the monotonic clock', () => {
    const dayMs = 24 * hourMs
    const { credential } = restarted()
    const { record } = newState(credential, now - dayMs, dayMs)
    expect(plan(restarted({ record, wallOffset: dayMs, firstSeenAt: now - dayMs }), now - dayMs)).toEqual({
      check: 'stopWhenUpToDate',
      reason: 'UpToDate',
      actions: [],
      requeueAt: now - dayMs + 10 * minuteMs,
    })
  })

  it('a restart does not propagate a token that was propagated', () => {
    const { fingerprint } = heldToken()
    const spec = { propagation: 'Immediate' }
    const propagated = restarted({ credential: { spec, status: { propagatedFingerprint: fingerprint } } })
    expect(plan(propagated, now).actions).toEqual([])
  })

  it.each<[string, ObservedInput]>([
    ['the spec has changed', { credential: { generation: 2 } }],
    ['a renewal was requested', { credential: { renewRequest: 'now' } }],
    [
      'the resource was not Ready',
      { credential: { status: { conditions: [condition('Ready', 'False'), condition('RenewalHealthy')] } } },
    ],
    [
      'the last renewal had failed',
      { credential: { status: { conditions: [condition('Ready'), condition('RenewalHealthy', 'False')] } } },
    ],
    ['the status has no conditions', { credential: { status: { conditions: [] } } }],
    ['a source has changed', { sourceMetas: [metadata({ resourceVersion: '11' })] }],
    ['a source was recreated', { sourceMetas: [metadata({ uid: 'uid-recreated' })] }],
    ['the status has no versions of the sources', { credential: { status: { sources: [] } } }],
    ['the token is of another gateway', { credential: { spec: { gateway: { url: 'https://new.example.com' } } } }],
    ['the renewal is due', { credential: { status: { nextRenewalAt: new Date(now).toISOString() } } }],
    ['the status has no next renewal', { credential: { status: { nextRenewalAt: undefined } } }],
    ['the other members are about to refresh', { isSummoned: true }],
    ['the token is still to be propagated', { credential: { spec: { propagation: 'Immediate' } } }],
    ['propagation was removed from the spec', { credential: { status: { propagatedFingerprint: 'abc' } } }],
    ['a verification is due', { credential: { spec: { verifyEvery: '1m' } }, firstSeenAt: now - minuteMs }],
  ])('a restart reads the sources when %s', (_, input) => {
    expect(plan(restarted(input), now).actions).toEqual([{ do: 'fetchSources', reason: 'SourcesNotInMemory' }])
  })

  it.each<[string, ObservedInput]>([
    ['changed', { targetMetas: new Map([['enos-token', ownTarget({ resourceVersion: '21' })]]) }],
    [
      'taken over by another owner',
      { targetMetas: new Map([['enos-token', ownTarget({ controllerUid: 'uid-of-another-owner' })]]) },
    ],
    ['not recorded', { record: new Map() }],
  ])('a restart reads the sources when a target was %s', (_, input) => {
    expect(plan(restarted(input), now).actions).toEqual([{ do: 'fetchSources', reason: 'SourcesNotInMemory' }])
  })

  it('a restart first drops the record of a deleted target', () => {
    expect(plan(restarted({ targetMetas: new Map([['enos-token', undefined]]) }), now).actions).toEqual([
      { do: 'forgetTarget', reason: 'Missing', name: 'enos-token' },
    ])
  })

  it('a restart reads the sources when the token has expired', () => {
    const status = { nextRenewalAt: new Date(now + 2 * hourMs).toISOString() }
    expect(plan(restarted({ credential: { status } }), now + hourMs).actions).toEqual([
      { do: 'fetchSources', reason: 'SourcesNotInMemory' },
    ])
  })

  it('a resource that has joined its application in this process is never stopped by stopWhenUpToDate', () => {
    expect(plan(restarted({ membership: membership() }), now).actions).toEqual([
      { do: 'fetchSources', reason: 'SourcesNotInMemory' },
    ])
  })
})

describe('firstVerificationAt', () => {
  const verified = { credential: { spec: { verifyEvery: '10m' } }, firstSeenAt: now }

  it('the first verification is within the first interval, at a fixed place for each resource', () => {
    const at = firstVerificationAt(observed(verified)) ?? 0
    expect(at).toBeGreaterThanOrEqual(now)
    expect(at).toBeLessThan(now + 10 * minuteMs)
    expect(firstVerificationAt(observed(verified))).toBe(at)
  })

  it('first verifications are spread over the interval, so that a restart does not send them at once', () => {
    const places = Array.from({ length: 100 }, (_, i) => {
      const credential = { ...verified.credential, uid: `uid-${i}` }
      return Math.floor(((firstVerificationAt(observed({ ...verified, credential })) ?? 0) - now) / minuteMs)
    })
    expect(new Set(places).size).toBe(10)
  })

  it('firstVerificationAt is undefined without verifyEvery', () => {
    expect(firstVerificationAt(observed())).toBeUndefined()
  })

  it('a resource joins its application when its first verification is due, and not before', () => {
    const at = firstVerificationAt(observed(verified)) ?? 0
    const one = restarted(verified)
    expect(plan(one, at - 1)).toEqual({
      check: 'stopWhenUpToDate',
      reason: 'UpToDate',
      actions: [],
      requeueAt: at,
    })
    expect(plan(one, at).actions).toEqual([{ do: 'fetchSources', reason: 'SourcesNotInMemory' }])
  })
})

describe('newState', () => {
  it('a record has no token when the status lacks a field of it', () => {
    for (const missing of ['expiresAt', 'issuedAt', 'tokenFingerprint', 'gateway']) {
      const { credential } = restarted({ credential: { status: { [missing]: undefined } } })
      expect(newState(credential, now, 0).record.get('enos-token')?.token).toBeUndefined()
    }
  })

  it('a record has the token of the status, with its expiry on the monotonic clock', () => {
    const { credential } = restarted()
    const { fingerprint } = heldToken()
    expect(newState(credential, now, 5000).record.get('enos-token')?.token).toEqual({
      fingerprint,
      expiresAt: now + hourMs - 5000,
      expiresAtWall: now + hourMs,
      issuedAtWall: now - hourMs,
      gatewayUrl,
      appKeyFingerprint,
    })
  })
})
