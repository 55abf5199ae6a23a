import { describe, expect, it } from 'vitest'
import { fingerprintOf } from '../../../src/enos/signature.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { inputsOf } from '../../../src/observe/inputs.ts'
import type { TargetRecord } from '../../../src/observe/observed.ts'
import type { Action } from '../../../src/plan/actions.ts'
import { plan } from '../../../src/plan/plan.ts'
import {
  applicationView,
  gatewayUrl,
  heldToken,
  hourMs,
  joined,
  marker,
  metadata,
  now,
  type ObservedInput,
  operator,
  ownTarget,
  secret,
  sources,
  sourceVersion,
  synced,
  targetRecord,
} from '../../support/builders.ts'

const newToken = heldToken({ value: 'the next token', expiresAt: now + 3 * hourMs, issuedAtWall: now })
const renewed = { application: applicationView({ token: newToken }) }

function actionsOf(input: ObservedInput = {}): readonly Action[] {
  return plan(synced(input), now).actions
}

function kindsOf(actions: readonly Action[]): string[] {
  return actions.map((action) => action.do)
}

const owner = {
  apiVersion: 'enos.io/v1alpha1',
  kind: 'EnosAppCredential',
  name: 'wind-farm',
  uid: 'uid-wind-farm',
  controller: true,
}

/** The content of the target as the operator wrote it, with the changes of another writer. */
function content(data: Record<string, string> = {}, overrides: Parameters<typeof secret>[1] = {}) {
  const { metadata: meta, ...rest } = overrides
  return secret(
    { accessToken: marker.token, expiresAt: '2026-01-01T13:00:00Z', ...data },
    {
      ...rest,
      metadata: {
        labels: { 'app.kubernetes.io/managed-by': operator, 'enos.io/credential': 'wind-farm' },
        annotations: { 'enos.io/expires-at': '2026-01-01T13:00:00Z', 'enos.io/issued-at': '2026-01-01T11:00:00Z' },
        ownerReferences: [owner],
        ...meta,
      },
    },
  )
}

function read(of = content(), input: ObservedInput = {}): ObservedInput {
  const meta = ownTarget({ resourceVersion: of.metadata.resourceVersion ?? '', uid: of.metadata.uid ?? '' })
  return {
    targetMetas: new Map([['enos-token', meta]]),
    targetContents: new Map([['enos-token', of]]),
    ...input,
  }
}

describe('writeTargets: a record of an earlier version', () => {
  it('a record without a fingerprint of the appKey gets one, without a read or a write', () => {
    const { token: complete } = targetRecord()
    const { appKeyFingerprint, ...token } = complete ?? {}
    const record = new Map([['enos-token', { ...targetRecord(), token: token as TargetRecord['token'] }]])
    expect(actionsOf({ record })).toMatchObject([{ do: 'confirmTarget', stamp: { token: { appKeyFingerprint } } }])
  })
})

describe('writeTargets: a missing target', () => {
  it('a missing target is created with its token, labels, annotations and owner', () => {
    const [action] = plan(joined(), now).actions
    if (action?.do !== 'createTarget') throw new Error(`planned ${action?.do ?? 'nothing'}`)
    const { data, ...desired } = action.desired
    expect(desired).toEqual({
      namespace: 'plant-a',
      name: 'enos-token',
      type: 'Opaque',
      labels: { 'app.kubernetes.io/managed-by': operator, 'enos.io/credential': 'wind-farm' },
      annotations: { 'enos.io/expires-at': '2026-01-01T13:00:00Z', 'enos.io/issued-at': '2026-01-01T11:00:00Z' },
      owner: {
        apiVersion: 'enos.io/v1alpha1',
        kind: 'EnosAppCredential',
        name: 'wind-farm',
        uid: 'uid-wind-farm',
        controller: true,
        blockOwnerDeletion: false,
      },
    })
    expect(Object.entries(data).map(([key, value]) => [key, value.reveal()])).toEqual([
      ['accessToken', marker.token],
      ['expiresAt', '2026-01-01T13:00:00Z'],
    ])
    expect(action.stamp).toMatchObject({
      creationPolicy: 'Owner',
      deletionPolicy: 'Delete',
      keys: ['accessToken', 'expiresAt'],
      token: { fingerprint: fingerprintOf(new Sensitive(marker.token)), gatewayUrl },
    })
  })

  it('a missing target gets the value of each template variable', () => {
    const data = {
      all: '{{ appKey }} {{ appSecret }} {{ gatewayUrl }} {{ expiresAtUnix }} {{ issuedAt }} {{ name }} {{ namespace }}',
    }
    const [action] = plan(joined({ credential: { spec: { targets: [{ name: 'enos-token', data }] } } }), now).actions
    const all = action?.do === 'createTarget' ? action.desired.data['all']?.reveal() : undefined
    const unix = (now + hourMs) / 1000
    expect(all).toBe(
      `${marker.appKey} ${marker.appSecret} ${gatewayUrl} ${unix} 2026-01-01T11:00:00Z wind-farm plant-a`,
    )
  })

  it('a missing target gets the labels of the operator beside those of the spec', () => {
    const targets = [
      { name: 'enos-token', type: 'example.com/token', labels: { team: 'wind' }, annotations: { a: 'b' } },
    ]
    expect(plan(joined({ credential: { spec: { targets } } }), now).actions).toMatchObject([
      {
        desired: {
          type: 'example.com/token',
          labels: { team: 'wind', 'app.kubernetes.io/managed-by': operator },
          annotations: { a: 'b', 'enos.io/expires-at': '2026-01-01T13:00:00Z' },
        },
      },
    ])
  })

  it('missing targets are created side by side', () => {
    const targets = [{ name: 'one' }, { name: 'two' }, { name: 'three' }]
    const { actions } = plan(joined({ credential: { spec: { targets } } }), now)
    expect(kindsOf(actions)).toEqual(['createTarget', 'createTarget', 'createTarget'])
  })

  it('a deleted target is created again, after its record is dropped', () => {
    const targetMetas = new Map([['enos-token', undefined]])
    expect(actionsOf({ targetMetas })).toEqual([{ do: 'forgetTarget', reason: 'Missing', name: 'enos-token' }])
    expect(kindsOf(actionsOf({ targetMetas, record: new Map() }))).toEqual(['createTarget'])
  })

  it('a missing target is not created while the Secret is still being deleted', () => {
    const targetMetas = new Map([['enos-token', ownTarget({ isDeleting: true })]])
    expect(kindsOf(actionsOf({ targetMetas }))).toEqual(['patchStatus'])
  })

  it.each<[string, ObservedInput]>([
    ['without a token', { application: applicationView({ token: undefined }) }],
    ['with a token that has expired', { application: applicationView({ token: heldToken({ expiresAt: now }) }) }],
    ['while the resource is suspended', { credential: { spec: { suspend: true } } }],
    ['at a gateway that is not allowed', { isGatewayAllowed: false }],
  ])('a missing target is not created %s', (_, input) => {
    expect(kindsOf(plan(joined(input), now).actions)).not.toContain('createTarget')
  })
})

describe('writeTargets: an unchanged target', () => {
  it('an unchanged target is neither read nor written', () => {
    expect(kindsOf(actionsOf())).toEqual(['patchStatus'])
  })

  it('an unchanged target gets a new token without a read, bound to the recorded version', () => {
    expect(actionsOf(renewed)).toMatchObject([
      {
        do: 'patchTarget',
        was: { name: 'enos-token', uid: 'uid-enos-token', resourceVersion: '20' },
        correction: { surplusData: [], surplusLabels: [], surplusAnnotations: [], owners: undefined },
        stamp: { token: { fingerprint: newToken.fingerprint } },
      },
    ])
  })

  it('an unchanged target is written when the gateway corrects the expiry of its token', () => {
    const token = heldToken({ expiresAt: now + 2 * hourMs })
    expect(kindsOf(actionsOf({ application: applicationView({ token }) }))).toEqual(['patchTarget'])
  })

  it('an unchanged target is not written with a token that has expired', () => {
    const token = heldToken({ value: 'too late', expiresAt: now })
    expect(kindsOf(actionsOf({ application: applicationView({ token }) }))).toEqual(['patchStatus'])
  })

  it('an unchanged target is read when the spec has changed', () => {
    expect(actionsOf({ credential: { generation: 2 }, record: new Map([['enos-token', targetRecord()]]) })).toEqual([
      { do: 'fetchTarget', reason: 'SpecChanged', name: 'enos-token' },
    ])
  })

  it.each([
    ['an unchanged target is read when a source that it uses has changed', '{{ appSecret }}', ['fetchTarget']],
    [
      'an unchanged target is not read when a source that it does not use has changed',
      '{{ accessToken }}',
      ['patchStatus'],
    ],
  ])('%s', (_, template, kinds) => {
    const credential = { spec: { targets: [{ name: 'enos-token', data: { key: template } }] } }
    const { record } = synced({ credential })
    const changed = [metadata({ resourceVersion: '11' })]
    const reread = sources({ versions: [sourceVersion('11')] })
    expect(kindsOf(actionsOf({ credential, record, sourceMetas: changed, sources: reread }))).toEqual(kinds)
  })
})

describe('writeTargets: a drifted target', () => {
  it('a drifted target is read first', () => {
    expect(actionsOf({ targetMetas: new Map([['enos-token', ownTarget({ resourceVersion: '21' })]]) })).toEqual([
      { do: 'fetchTarget', reason: 'Drift', name: 'enos-token' },
    ])
  })

  it('a drifted target is only confirmed when the drift is in parts of others', () => {
    const touched = content(
      {},
      { metadata: { resourceVersion: '21', labels: { ...content().metadata.labels, by: 'hand' } } },
    )
    expect(actionsOf(read(touched))).toMatchObject([
      { do: 'confirmTarget', was: { uid: 'uid-enos-token', resourceVersion: '21' } },
    ])
  })

  it('a target that was read at its recorded version is not confirmed again', () => {
    expect(kindsOf(actionsOf(read()))).toEqual(['patchStatus'])
  })

  it.each<[string, ReturnType<typeof content>, object]>([
    ['a changed value', content({ accessToken: 'forged' }), {}],
    ['an added key', content({ more: 'x' }), { surplusData: ['more'] }],
    ['a changed label', content({}, { metadata: { labels: { 'enos.io/credential': 'another' } } }), {}],
    ['a removed annotation', content({}, { metadata: { annotations: {} } }), {}],
    [
      'a removed owner reference',
      content({}, { metadata: { ownerReferences: [] } }),
      { owners: [{ uid: 'uid-wind-farm', controller: true, blockOwnerDeletion: false }] },
    ],
  ])('a drifted target is corrected: %s', (_, drifted, correction) => {
    expect(actionsOf(read(drifted))).toMatchObject([{ do: 'patchTarget', was: { resourceVersion: '20' }, correction }])
  })

  it('a label that left the spec is removed, and labels of others stay', () => {
    const fieldsV1 = { 'f:metadata': { 'f:labels': { 'f:team': {}, 'f:enos.io/credential': {} } } }
    const labels = { ...content().metadata.labels, team: 'wind', by: 'hand' }
    const drifted = content({}, { metadata: { labels, managedFields: [{ manager: operator, fieldsV1 }] } })
    expect(actionsOf(read(drifted))).toMatchObject([{ correction: { surplusLabels: ['team'] } }])
  })

  it.each<[string, Parameters<typeof secret>[1]]>([
    ['is of another type', { type: 'example.com/other' }],
    ['was made immutable', { immutable: true }],
  ])('a drifted target is recreated when it %s, which no patch can change', (_, overrides) => {
    expect(actionsOf(read(content({}, overrides)))).toMatchObject([
      { do: 'recreateTarget', was: { uid: 'uid-enos-token', resourceVersion: '20' } },
    ])
  })

  it('a target without its owner reference is still owned by its record', () => {
    const meta = ownTarget({ controllerUid: undefined, isControlledByCredential: false, resourceVersion: '21' })
    expect(kindsOf(actionsOf({ targetMetas: new Map([['enos-token', meta]]) }))).toEqual(['fetchTarget'])
  })

  it('a drifted target does not delay the other targets', () => {
    const credential = { spec: { targets: [{ name: 'enos-token' }, { name: 'second' }] } }
    const base = synced({ credential })
    const targetMetas = new Map(base.targetMetas).set('enos-token', ownTarget({ resourceVersion: '21' }))
    expect(actionsOf({ credential, targetMetas, ...renewed })).toMatchObject([
      { do: 'fetchTarget', name: 'enos-token' },
      { do: 'patchTarget', was: { name: 'second' } },
    ])
  })
})

describe('inputsOf', () => {
  const spec = {
    gateway: {
      url: 'https://apim.example.com',
      headersFrom: [{ name: 'X-Key', secretKeyRef: { name: 'gate', key: 'k' } }],
    },
    targets: [{ name: 'enos-token', data: { login: '{{ appSecret }} {{ accessToken }}' } }],
  }
  const withSources = (app: string, gate: string) =>
    synced({
      credential: { spec },
      sourceMetas: [metadata({ resourceVersion: app }), metadata({ name: 'gate', resourceVersion: gate })],
    })

  it('inputsOf changes with the source that a template uses, and not with the Secret of a header', () => {
    expect(inputsOf(withSources('10', '11'), 'enos-token')).toBe(inputsOf(withSources('10', '12'), 'enos-token'))
    expect(inputsOf(withSources('10', '11'), 'enos-token')).not.toBe(inputsOf(withSources('13', '11'), 'enos-token'))
  })
})
