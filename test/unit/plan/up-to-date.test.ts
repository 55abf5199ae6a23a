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

describe('a restart that finds everything as it was left', () => {
  it('does nothing: no call, no read, no write', () => {
    expect(plan(restarted(), now).actions).toEqual([])
  })

  it('does nothing with what the status alone tells of the targets', () => {
    const { credential } = restarted()
    const { record } = newState(credential, now, 0)
    expect(plan(restarted({ record }), now).actions).toEqual([])
  })

  it('does nothing with keys that hold source values, as long as the sources are the same', () => {
    const spec = { targets: [{ name: 'enos-token', data: { secret: '{{ appSecret }}' } }] }
    const { credential } = restarted({ credential: { spec } })
    const { record } = newState(credential, now, 0)
    expect(plan(restarted({ credential: { spec }, record }), now).actions).toEqual([])
  })

  it('counts on the monotonic clock, whatever the wall clock says', () => {
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

  it('tells consumers nothing when they were told', () => {
    const { fingerprint } = heldToken()
    const spec = { propagation: 'Immediate' }
    const told = restarted({ credential: { spec, status: { propagatedFingerprint: fingerprint } } })
    expect(plan(told, now).actions).toEqual([])
  })

  it.each<[string, ObservedInput]>([
    ['the spec has changed', { credential: { generation: 2 } }],
    ['a renewal was asked for', { credential: { renewRequest: 'now' } }],
    [
      'it was not Ready',
      { credential: { status: { conditions: [condition('Ready', 'False'), condition('RenewalHealthy')] } } },
    ],
    [
      'its last renewal had failed',
      { credential: { status: { conditions: [condition('Ready'), condition('RenewalHealthy', 'False')] } } },
    ],
    ['it had not said anything yet', { credential: { status: { conditions: [] } } }],
    ['a source has changed', { sourceMetas: [metadata({ resourceVersion: '11' })] }],
    ['a source was made anew', { sourceMetas: [metadata({ uid: 'uid-anew' })] }],
    ['the versions of the sources are not known', { credential: { status: { sources: [] } } }],
    ['the token is of another gateway', { credential: { spec: { gateway: { url: 'https://new.example.com' } } } }],
    ['the renewal is due', { credential: { status: { nextRenewalAt: new Date(now).toISOString() } } }],
    ['the next renewal is not known', { credential: { status: { nextRenewalAt: undefined } } }],
    ['the other members are about to refresh', { isSummoned: true }],
    ['consumers are still to be told', { credential: { spec: { propagation: 'Immediate' } } }],
    ['consumers are to be told no more', { credential: { status: { propagatedFingerprint: 'abc' } } }],
    ['a verification is due', { credential: { spec: { verifyEvery: '1m' } }, firstSeenAt: now - minuteMs }],
  ])('looks again when %s', (_, input) => {
    expect(plan(restarted(input), now).actions).toEqual([{ do: 'fetchSources', reason: 'SourcesNotInMemory' }])
  })

  it.each<[string, ObservedInput]>([
    ['altered', { targetMetas: new Map([['enos-token', ownTarget({ resourceVersion: '21' })]]) }],
    ['taken over by somebody', { targetMetas: new Map([['enos-token', ownTarget({ controllerUid: 'uid-thief' })]]) }],
    ['written with what is not known', { record: new Map() }],
  ])('looks again when a target was %s', (_, input) => {
    expect(plan(restarted(input), now).actions).toEqual([{ do: 'fetchSources', reason: 'SourcesNotInMemory' }])
  })

  it('drops the record first when a target was deleted', () => {
    expect(plan(restarted({ targetMetas: new Map([['enos-token', undefined]]) }), now).actions).toEqual([
      { do: 'forgetTarget', reason: 'Missing', name: 'enos-token' },
    ])
  })

  it('looks again once the token has expired', () => {
    const status = { nextRenewalAt: new Date(now + 2 * hourMs).toISOString() }
    expect(plan(restarted({ credential: { status } }), now + hourMs).actions).toEqual([
      { do: 'fetchSources', reason: 'SourcesNotInMemory' },
    ])
  })

  it('is for who has not joined in this process: others go through all checks', () => {
    expect(plan(restarted({ membership: membership() }), now).actions).toEqual([
      { do: 'fetchSources', reason: 'SourcesNotInMemory' },
    ])
  })
})

describe('the first verification of a token that was taken over', () => {
  const verified = { credential: { spec: { verifyEvery: '10m' } }, firstSeenAt: now }

  it('is somewhere in the first interval, always at the same place for one resource', () => {
    const at = firstVerificationAt(observed(verified)) ?? 0
    expect(at).toBeGreaterThanOrEqual(now)
    expect(at).toBeLessThan(now + 10 * minuteMs)
    expect(firstVerificationAt(observed(verified))).toBe(at)
  })

  it('is spread over the interval: a restart is no herd', () => {
    const places = Array.from({ length: 100 }, (_, i) => {
      const credential = { ...verified.credential, uid: `uid-${i}` }
      return Math.floor(((firstVerificationAt(observed({ ...verified, credential })) ?? 0) - now) / minuteMs)
    })
    expect(new Set(places).size).toBe(10)
  })

  it('is not wanted without verifyEvery', () => {
    expect(firstVerificationAt(observed())).toBeUndefined()
  })

  it('has the resource join when it is due, and not before', () => {
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

describe('what the status tells after a restart', () => {
  it('is no token when anything of it is missing: the targets are looked at again', () => {
    for (const missing of ['expiresAt', 'issuedAt', 'tokenFingerprint', 'gateway']) {
      const { credential } = restarted({ credential: { status: { [missing]: undefined } } })
      expect(newState(credential, now, 0).record.get('enos-token')?.token).toBeUndefined()
    }
  })

  it('is the token of each target, its expiry on the monotonic clock', () => {
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
