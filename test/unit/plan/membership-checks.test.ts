import { describe, expect, it } from 'vitest'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { formatTime } from '../../../src/lib/time.ts'
import type { Action } from '../../../src/plan/actions.ts'
import { plan } from '../../../src/plan/plan.ts'
import {
  applicationView,
  heldToken,
  hourMs,
  joined,
  marker,
  membership,
  metadata,
  minuteMs,
  now,
  observed,
  type ObservedInput,
  restarted,
  secret,
  sources,
  sourceVersion,
  synced,
} from '../../support/builders.ts'

/** A restart after all targets were written and the spec was changed. */
function changedSince(overrides: ObservedInput = {}) {
  const { credential, ...rest } = overrides
  return restarted({ sources: sources(), ...rest, credential: { generation: 2, ...credential } })
}

function joinOf(actions: readonly Action[]): Extract<Action, { do: 'join' }> {
  const [action] = actions
  if (action?.do !== 'join' || actions.length > 1) {
    throw new Error(`planned ${actions.map((one) => one.do).join() || 'nothing'}`)
  }
  return action
}

describe('joinApplication', () => {
  it('a resource joins its application once its sources are read, with the settings of its spec', () => {
    const spec = { gateway: { timeout: '3s' }, renewBefore: '5m', renewalMethod: 'Get', verifyEvery: '1m' }
    const { found, membership: wanted } = joinOf(
      plan(observed({ credential: { spec }, sources: sources() }), now).actions,
    )
    expect(found).toBeUndefined()
    expect(wanted.appKey.reveal()).toBe(marker.appKey)
    expect(wanted.appSecret.reveal()).toBe(marker.appSecret)
    expect(wanted).toMatchObject({
      gatewayUrl: 'https://apim.example.com',
      renewBeforeMs: 5 * minuteMs,
      renewalMethod: 'Get',
      timeoutMs: 3000,
      ca: undefined,
      verifyEveryMs: minuteMs,
      recorded: undefined,
      renewRequest: undefined,
    })
  })

  it('a membership has the normalised URL, so that two spellings name one application', () => {
    const credential = { spec: { gateway: { url: 'https://apim.example.com:443/' } } }
    expect(joinOf(plan(observed({ credential, sources: sources() }), now).actions).membership.gatewayUrl).toBe(
      'https://apim.example.com',
    )
  })

  it.each<[string, Parameters<typeof membership>[0]]>([
    ['gateway', { gatewayUrl: 'https://old.example.com' }],
    ['appKey', { appKey: new Sensitive('another') }],
    ['appSecret', { appSecret: new Sensitive('another') }],
    ['tlsServerName', { tlsServerName: 'another' }],
    ['value of a header', { headers: new Map([['X-Key', new Sensitive('another')]]) }],
    ['renewBefore', { renewBeforeMs: 1 }],
    ['renewalMethod', { renewalMethod: 'Get' }],
    ['timeout', { timeoutMs: 1 }],
    ['CA', { ca: 'pem' }],
    ['verifyEvery', { verifyEveryMs: 1 }],
  ])('a resource joins again when its membership has another %s', (_, before) => {
    const { found, membership: wanted } = joinOf(plan(synced({ membership: membership(before) }), now).actions)
    expect(wanted).toMatchObject({ ...membership(), recorded: expect.anything() as unknown })
    expect(found).toBeUndefined()
  })

  it('a resource does not join again when only the recorded token has changed', () => {
    const { expiresAtWall, fingerprint, issuedAtWall } = heldToken({ value: 'an older token' })
    const recorded = { expiresAtWall, fingerprint, issuedAtWall }
    const kinds = plan(synced({ membership: membership({ recorded }) }), now).actions.map((action) => action.do)
    expect(kinds).toEqual(['patchStatus'])
  })
})

describe('joinApplication: a renewal request', () => {
  const asked = { renewRequest: 'now-please' }

  it('a renewal request is passed to the application', () => {
    expect(joinOf(plan(synced({ credential: asked }), now).actions).membership.renewRequest).toBe('now-please')
  })

  it('a renewal request is passed to the application once', () => {
    const handedOver = synced({ credential: asked, membership: membership({ renewRequest: 'now-please' }) })
    expect(plan(handedOver, now).actions.map((action) => action.do)).toEqual(['patchStatus'])
  })

  it('a renewal request that the status records as handled is not passed again', () => {
    const credential = { ...asked, status: { lastHandledRenewRequest: 'now-please' } }
    expect(plan(synced({ credential }), now).actions.map((action) => action.do)).toEqual(['patchStatus'])
  })

  it('a renewal request with another value is passed again', () => {
    const credential = { renewRequest: 'again', status: { lastHandledRenewRequest: 'now-please' } }
    const before = synced({ credential, membership: membership({ renewRequest: 'now-please' }) })
    expect(joinOf(plan(before, now).actions).membership.renewRequest).toBe('again')
  })

  it('a renewal request is recorded as handled after an attempt, successful or not', () => {
    const failure = { class: 'retry', reason: 'GatewayUnreachable', message: 'refused' } as const
    const tried = applicationView({ handledRequest: 'now-please', failure, failures: 1 })
    const one = synced({
      credential: asked,
      membership: membership({ renewRequest: 'now-please' }),
      application: tried,
    })
    expect(plan(one, now).actions).toMatchObject([
      { do: 'patchStatus', status: { lastHandledRenewRequest: 'now-please', consecutiveFailures: 1 } },
    ])
  })

  it('a renewal request makes a resource that is up to date read its sources after a restart', () => {
    expect(plan(restarted({ credential: asked }), now).actions).toEqual([
      { do: 'fetchSources', reason: 'SourcesNotInMemory' },
    ])
  })
})

describe('readTokenBack', () => {
  it('a token is read back from an owned target before a call to the gateway', () => {
    expect(plan(changedSince(), now).actions).toEqual([
      { do: 'fetchTarget', reason: 'TokenNotInMemory', name: 'enos-token' },
    ])
  })

  it('a token with the recorded fingerprint is taken over without a call', () => {
    const targetContents = new Map([['enos-token', secret({ accessToken: marker.token })]])
    const { found, membership: wanted } = joinOf(plan(changedSince({ targetContents }), now).actions)
    expect(found?.token.reveal()).toBe(marker.token)
    expect(found).toMatchObject({ expiresAt: now + hourMs, expiresAtWall: now + hourMs, issuedAtWall: now - hourMs })
    expect(wanted.recorded).toMatchObject({ fingerprint: found?.fingerprint })
  })

  it('a token with another fingerprint is not taken over', () => {
    const targetContents = new Map([['enos-token', secret({ accessToken: 'planted' })]])
    expect(joinOf(plan(changedSince({ targetContents }), now).actions).found).toBeUndefined()
  })

  it('a token is read from the next target when the first one does not hold it', () => {
    const spec = { targets: [{ name: 'enos-token' }, { name: 'second' }] }
    const both = restarted({
      credential: { generation: 2, spec },
      sources: sources(),
      targetContents: new Map([['enos-token', secret({ accessToken: 'planted' })]]),
    })
    expect(plan(both, now).actions).toEqual([{ do: 'fetchTarget', reason: 'TokenNotInMemory', name: 'second' }])
  })

  it('a token is not read from a key that holds more than the token', () => {
    const spec = { targets: [{ name: 'enos-token', data: { header: 'Bearer {{ accessToken }}' } }] }
    expect(joinOf(plan(changedSince({ credential: { spec } }), now).actions).found).toBeUndefined()
  })

  it('a token is not read from a Secret that the resource no longer owns', () => {
    const takenOver = metadata({ name: 'enos-token', resourceVersion: '20', controllerUid: 'uid-of-another-owner' })
    const one = changedSince({ targetMetas: new Map([['enos-token', takenOver]]) })
    expect(joinOf(plan(one, now).actions).found).toBeUndefined()
  })

  it.each<[string, ObservedInput]>([
    [
      'sources changed, since the token may be of another application',
      {
        sourceMetas: [metadata({ resourceVersion: '11' })],
        sources: sources({ versions: [sourceVersion('11')] }),
      },
    ],
    [
      'spec names another key of the source',
      {
        credential: { spec: { appSecretRef: { name: 'enos-app', key: 'another' } } },
        sources: sources({ versions: [{ ...sourceVersion(), keys: ['appKey', 'another'] }] }),
      },
    ],
    [
      'status does not record which keys were used',
      { credential: { status: { sources: [{ name: 'enos-app', uid: 'uid-enos-app', resourceVersion: '10' }] } } },
    ],
    ['gateway changed', { credential: { spec: { gateway: { url: 'https://new.example.com' } } } }],
    ['renewal is due, which calls the gateway anyway', { credential: { status: { nextRenewalAt: formatTime(now) } } }],
    ['last attempt had failed', { credential: { status: { consecutiveFailures: 2 } } }],
    ['application is about to refresh for its other members', { isSummoned: true }],
  ])('a token is not read back when the %s', (_, overrides) => {
    expect(joinOf(plan(changedSince(overrides), now).actions).found).toBeUndefined()
  })

  it('a token is not read back after its expiry', () => {
    expect(joinOf(plan(changedSince(), now + hourMs).actions).found).toBeUndefined()
  })
})

describe('plan of a resource without a token', () => {
  it('a resource without a token writes only its status', () => {
    const waiting = joined({ application: applicationView({ token: undefined, renewalAtWall: undefined }) })
    expect(plan(waiting, now).actions).toMatchObject([
      {
        do: 'patchStatus',
        status: { conditions: [{ type: 'Ready', status: 'False', reason: 'WaitingForToken' }, {}, {}] },
      },
    ])
  })
})
