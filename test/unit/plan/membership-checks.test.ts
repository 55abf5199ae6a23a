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

/** What a process finds whose predecessor wrote all targets, while the spec was changed in between. */
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

describe('membership in an application', () => {
  it('begins once the sources are read, with all that the spec says of it', () => {
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

  it('is by the normalised URL, so that two spellings are one application', () => {
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
  ])('is brought up to date when it has another %s', (_, before) => {
    const { found, membership: wanted } = joinOf(plan(synced({ membership: membership(before) }), now).actions)
    expect(wanted).toMatchObject({ ...membership(), recorded: expect.anything() as unknown })
    expect(found).toBeUndefined()
  })

  it('stays as it is when only what is recorded has changed', () => {
    const { expiresAtWall, fingerprint, issuedAtWall } = heldToken({ value: 'an older token' })
    const recorded = { expiresAtWall, fingerprint, issuedAtWall }
    const kinds = plan(synced({ membership: membership({ recorded }) }), now).actions.map((action) => action.do)
    expect(kinds).toEqual(['patchStatus'])
  })
})

describe('a renewal that is asked for', () => {
  const asked = { renewRequest: 'now-please' }

  it('is handed to the application', () => {
    expect(joinOf(plan(synced({ credential: asked }), now).actions).membership.renewRequest).toBe('now-please')
  })

  it('is handed over once', () => {
    const handedOver = synced({ credential: asked, membership: membership({ renewRequest: 'now-please' }) })
    expect(plan(handedOver, now).actions.map((action) => action.do)).toEqual(['patchStatus'])
  })

  it('is no news when the status says that it was tried', () => {
    const credential = { ...asked, status: { lastHandledRenewRequest: 'now-please' } }
    expect(plan(synced({ credential }), now).actions.map((action) => action.do)).toEqual(['patchStatus'])
  })

  it('is handed over again when the value is another one', () => {
    const credential = { renewRequest: 'again', status: { lastHandledRenewRequest: 'now-please' } }
    const before = synced({ credential, membership: membership({ renewRequest: 'now-please' }) })
    expect(joinOf(plan(before, now).actions).membership.renewRequest).toBe('again')
  })

  it('is told in the status as handled once an attempt was made, whatever came of it', () => {
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

  it('wakes a resource that a restart would have left in peace', () => {
    expect(plan(restarted({ credential: asked }), now).actions).toEqual([
      { do: 'fetchSources', reason: 'SourcesNotInMemory' },
    ])
  })
})

describe('a token that an earlier process wrote', () => {
  it('is read back from a target of ours before the gateway is asked', () => {
    expect(plan(changedSince(), now).actions).toEqual([
      { do: 'fetchTarget', reason: 'TokenNotInMemory', name: 'enos-token' },
    ])
  })

  it('is taken over when it has the recorded fingerprint: no call', () => {
    const targetContents = new Map([['enos-token', secret({ accessToken: marker.token })]])
    const { found, membership: wanted } = joinOf(plan(changedSince({ targetContents }), now).actions)
    expect(found?.token.reveal()).toBe(marker.token)
    expect(found).toMatchObject({ expiresAt: now + hourMs, expiresAtWall: now + hourMs, issuedAtWall: now - hourMs })
    expect(wanted.recorded).toMatchObject({ fingerprint: found?.fingerprint })
  })

  it('is not taken over when somebody has altered it', () => {
    const targetContents = new Map([['enos-token', secret({ accessToken: 'planted' })]])
    expect(joinOf(plan(changedSince({ targetContents }), now).actions).found).toBeUndefined()
  })

  it('is looked for on the next target when the first one does not have it', () => {
    const spec = { targets: [{ name: 'enos-token' }, { name: 'second' }] }
    const both = restarted({
      credential: { generation: 2, spec },
      sources: sources(),
      targetContents: new Map([['enos-token', secret({ accessToken: 'planted' })]]),
    })
    expect(plan(both, now).actions).toEqual([{ do: 'fetchTarget', reason: 'TokenNotInMemory', name: 'second' }])
  })

  it('is not read out of a key that holds more than the token', () => {
    const spec = { targets: [{ name: 'enos-token', data: { header: 'Bearer {{ accessToken }}' } }] }
    expect(joinOf(plan(changedSince({ credential: { spec } }), now).actions).found).toBeUndefined()
  })

  it('is not read out of a Secret that is not ours any more', () => {
    const stolen = metadata({ name: 'enos-token', resourceVersion: '20', controllerUid: 'uid-of-somebody' })
    const one = changedSince({ targetMetas: new Map([['enos-token', stolen]]) })
    expect(joinOf(plan(one, now).actions).found).toBeUndefined()
  })

  it.each<[string, ObservedInput]>([
    [
      'sources changed: it may be of another application',
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
      'status does not say which keys were used',
      { credential: { status: { sources: [{ name: 'enos-app', uid: 'uid-enos-app', resourceVersion: '10' }] } } },
    ],
    ['gateway is another one', { credential: { spec: { gateway: { url: 'https://new.example.com' } } } }],
    ['renewal is due: the gateway is asked anyway', { credential: { status: { nextRenewalAt: formatTime(now) } } }],
    ['last attempt had failed', { credential: { status: { consecutiveFailures: 2 } } }],
    ['application is about to renew for the sake of others', { isSummoned: true }],
  ])('is not read back when the %s', (_, overrides) => {
    expect(joinOf(plan(changedSince(overrides), now).actions).found).toBeUndefined()
  })

  it('is not read back once it has expired', () => {
    expect(joinOf(plan(changedSince(), now + hourMs).actions).found).toBeUndefined()
  })
})

describe('a resource that waits for its application', () => {
  it('writes nothing but its status', () => {
    const waiting = joined({ application: applicationView({ token: undefined, renewalAtWall: undefined }) })
    expect(plan(waiting, now).actions).toMatchObject([
      {
        do: 'patchStatus',
        status: { conditions: [{ type: 'Ready', status: 'False', reason: 'WaitingForToken' }, {}, {}] },
      },
    ])
  })
})
