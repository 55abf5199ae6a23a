import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { compareSecret, noCorrection } from '../../../src/targets/compare-secret.ts'
import type { ControllerReference, DesiredSecret } from '../../../src/targets/desired-secret.ts'
import { decodeKey, encodeData, type Secret } from '../../../src/targets/secret.ts'
import { createBody, disownBody, patchBody } from '../../../src/targets/secret-bodies.ts'
import { marker, operator, secret } from '../../support/builders.ts'

const owner: ControllerReference = {
  apiVersion: 'enos.io/v1alpha1',
  kind: 'EnosAppCredential',
  name: 'wind-farm',
  uid: 'uid-wind-farm',
  controller: true,
  blockOwnerDeletion: false,
}
const foreignOwner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'other', uid: 'uid-other' }
const precondition = { uid: 'uid-enos-token', resourceVersion: '20' }

function desired(overrides: Partial<DesiredSecret> = {}): DesiredSecret {
  return {
    namespace: 'plant-a',
    name: 'enos-token',
    type: 'Opaque',
    labels: { 'enos.io/credential': 'wind-farm' },
    annotations: { 'enos.io/expires-at': '2026-01-01T13:00:00Z' },
    owner,
    data: { accessToken: new Sensitive(marker.token) },
    ...overrides,
  }
}

/** The books of the API server: who set which labels and annotations. */
function books(manager: string, labels: readonly string[], annotations: readonly string[] = []) {
  const fields = (names: readonly string[]) => Object.fromEntries(names.map((name) => [`f:${name}`, {}]))
  return {
    manager,
    fieldsV1: { 'f:metadata': { 'f:labels': { '.': {}, ...fields(labels) }, 'f:annotations': fields(annotations) } },
  }
}

/** As it is after `desired()` was written. */
function written(metadata: Partial<Secret['metadata']> = {}, data: Record<string, string> = {}): Secret {
  const { annotations, labels } = desired()
  return secret(
    { accessToken: marker.token, ...data },
    {
      metadata: {
        labels,
        annotations,
        ownerReferences: [owner],
        managedFields: [books(operator, Object.keys(labels), Object.keys(annotations))],
        ...metadata,
      },
    },
  )
}

const compare = (existing: Secret, wanted = desired()) =>
  compareSecret(existing, wanted, { credentialUid: owner.uid, fieldManager: operator })

describe('compareSecret', () => {
  it('finds nothing to do on a Secret as it was written', () => {
    expect(compare(written())).toEqual({ kind: 'same' })
  })

  it('leaves labels, annotations and owners of others alone', () => {
    const { annotations, labels } = desired()
    const existing = written({
      labels: { ...labels, team: 'wind' },
      annotations: { ...annotations, note: 'hands off' },
      ownerReferences: [foreignOwner, owner],
      managedFields: [
        books(operator, Object.keys(labels), Object.keys(annotations)),
        books('kubectl-edit', ['team'], ['note']),
      ],
    })
    expect(compare(existing)).toEqual({ kind: 'same' })
  })

  it('sees that the token is another', () => {
    expect(compare(written({}, { accessToken: 'older' }))).toEqual({ kind: 'differs', correction: noCorrection })
  })

  it('sees a key that is not there', () => {
    const data = { ...desired().data, expiresAt: new Sensitive('2026-01-01T13:00:00Z') }
    expect(compare(written(), desired({ data }))).toEqual({ kind: 'differs', correction: noCorrection })
  })

  it('takes a key of the data that somebody added for surplus: all of it is ours', () => {
    expect(compare(written({}, { extra: 'x' }))).toEqual({
      kind: 'differs',
      correction: { ...noCorrection, surplusData: ['extra'] },
    })
  })

  it('sees labels and annotations that were changed or taken away', () => {
    for (const labels of [{}, { 'enos.io/credential': 'other' }]) {
      expect(compare(written({ labels }))).toEqual({ kind: 'differs', correction: noCorrection })
    }
    expect(compare(written({ annotations: {} }))).toEqual({ kind: 'differs', correction: noCorrection })
  })

  it('takes labels and annotations that left the spec for surplus, if we set them', () => {
    const { annotations, labels } = desired()
    const existing = written({
      labels: { ...labels, left: '1', team: 'wind' },
      annotations: { ...annotations, gone: '1' },
      managedFields: [
        books(operator, [...Object.keys(labels), 'left'], [...Object.keys(annotations), 'gone']),
        books('kubectl-edit', ['team']),
        { manager: 'no-fields' },
      ],
    })
    expect(compare(existing)).toEqual({
      kind: 'differs',
      correction: { ...noCorrection, surplusLabels: ['left'], surplusAnnotations: ['gone'] },
    })
  })

  it('restores the owner reference, and keeps those of others', () => {
    for (const present of [[], [foreignOwner], [foreignOwner, { ...owner, controller: false }]]) {
      const others = present.filter(({ uid }) => uid !== owner.uid)
      expect(compare(written({ ownerReferences: present }))).toEqual({
        kind: 'differs',
        correction: { ...noCorrection, owners: [...others, owner] },
      })
    }
  })

  it.each([
    ['blocks deletion', { blockOwnerDeletion: true }],
    ['has another name', { name: 'solar-farm' }],
    ['is of another version', { apiVersion: 'enos.io/v2' }],
  ])('restores an owner reference of ours that %s', (_, change) => {
    expect(compare(written({ ownerReferences: [{ ...owner, ...change }, foreignOwner] }))).toEqual({
      kind: 'differs',
      correction: { ...noCorrection, owners: [foreignOwner, owner] },
    })
  })

  it('takes an owner reference without blockOwnerDeletion for one that does not block', () => {
    const { apiVersion, controller, kind, name, uid } = owner
    expect(compare(written({ ownerReferences: [{ apiVersion, controller, kind, name, uid }] }))).toEqual({
      kind: 'same',
    })
  })

  it('takes the owner reference off a Secret that is to outlive its credential', () => {
    const retained = desired({ owner: undefined })
    expect(compare(written({ ownerReferences: [foreignOwner, owner] }), retained)).toEqual({
      kind: 'differs',
      correction: { ...noCorrection, owners: [foreignOwner] },
    })
    expect(compare(written({ ownerReferences: [foreignOwner] }), retained)).toEqual({ kind: 'same' })
  })

  it('has a Secret made anew whose type is another', () => {
    expect(compare({ ...written(), type: 'example.com/other' })).toEqual({ kind: 'recreate', reason: 'TypeChanged' })
    expect(compare(written(), desired({ type: 'example.com/token' }))).toEqual({
      kind: 'recreate',
      reason: 'TypeChanged',
    })
  })

  it('has a Secret made anew that somebody made immutable: the next token could not be written', () => {
    expect(compare({ ...written(), immutable: true })).toEqual({ kind: 'recreate', reason: 'Immutable' })
  })

  it('takes a Secret without type or data for an empty one of type Opaque', () => {
    const { metadata } = written()
    expect(compare({ metadata })).toEqual({ kind: 'differs', correction: noCorrection })
  })
})

describe('what is sent', () => {
  it('makes a Secret with all that is desired, by POST', () => {
    expect(createBody(desired())).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        namespace: 'plant-a',
        name: 'enos-token',
        labels: desired().labels,
        annotations: desired().annotations,
        ownerReferences: [owner],
      },
      type: 'Opaque',
      data: { accessToken: Buffer.from(marker.token).toString('base64') },
    })
  })

  it('makes a Secret that is to be retained without an owner', () => {
    expect(createBody(desired({ owner: undefined }))).not.toHaveProperty('metadata.ownerReferences')
  })

  it('binds a patch to the Secret that was looked at, and nulls what is to go', () => {
    const correction = {
      surplusData: ['extra'],
      surplusLabels: ['left'],
      surplusAnnotations: ['gone'],
      owners: [foreignOwner, owner],
    }
    expect(patchBody(desired(), correction, precondition)).toEqual({
      metadata: {
        uid: 'uid-enos-token',
        resourceVersion: '20',
        labels: { ...desired().labels, left: null },
        annotations: { ...desired().annotations, gone: null },
        ownerReferences: [foreignOwner, owner],
      },
      data: { accessToken: Buffer.from(marker.token).toString('base64'), extra: null },
    })
  })

  it('says nothing of owners that are as they should be', () => {
    expect(patchBody(desired(), noCorrection, precondition)).not.toHaveProperty('metadata.ownerReferences')
  })

  it('gives a Secret away with the keys that stay, untouched', () => {
    const { annotations, labels } = desired()
    const existing = written(
      { labels: { ...labels, team: 'wind' }, annotations, ownerReferences: [foreignOwner, owner] },
      { stays: 's', goes: 'g' },
    )
    expect(
      disownBody(existing, { credentialUid: owner.uid, fieldManager: operator, keptKeys: ['accessToken', 'stays'] }),
    ).toEqual({
      metadata: {
        uid: 'uid-enos-token',
        resourceVersion: '20',
        labels: { 'enos.io/credential': null },
        annotations: { 'enos.io/expires-at': null },
        ownerReferences: [foreignOwner],
      },
      data: { goes: null },
    })
  })
})

/** As the API server applies it: null takes away. */
function patched(data: Readonly<Record<string, string>>, body: object): Record<string, string> {
  const changes = (body as { data: Record<string, string | null> }).data
  return Object.fromEntries(
    Object.entries({ ...data, ...changes }).filter((entry): entry is [string, string] => entry[1] !== null),
  )
}

it('brings any Secret to any desired data with one patch, after which they are the same', () => {
  const texts = fc.dictionary(fc.stringMatching(/^[-._a-zA-Z0-9]{1,8}$/), fc.string({ unit: 'binary' }), { maxKeys: 6 })
  fc.assert(
    fc.property(texts, texts, (present, wanted) => {
      const data = Object.fromEntries(Object.entries(wanted).map(([key, text]) => [key, new Sensitive(text)]))
      const existing: Secret = { ...written(), data: secret(present).data ?? {} }
      const comparison = compare(existing, desired({ data }))
      if (comparison.kind === 'recreate') throw new Error('a patch would have done')
      const correction = comparison.kind === 'same' ? noCorrection : comparison.correction
      const after = patched(existing.data ?? {}, patchBody(desired({ data }), correction, precondition))
      expect(compare({ ...existing, data: after }, desired({ data }))).toEqual({ kind: 'same' })
      expect(after).toEqual(encodeData(data))
    }),
  )
})

describe('decodeKey', () => {
  it('reads back any text that was encoded', () => {
    fc.assert(
      // A byte order mark at the beginning is no part of a text.
      fc.property(
        fc.string({ unit: 'binary' }).filter((text) => !text.startsWith('\uFEFF')),
        (text) => {
          return decodeKey({ metadata: {}, data: encodeData({ key: new Sensitive(text) }) }, 'key')?.reveal() === text
        },
      ),
    )
  })

  it.each(['missing', 'constructor', 'toString'])('has nothing under %s, a key that is not there', (key) => {
    expect(decodeKey(secret({ accessToken: 'x' }), key)).toBeUndefined()
    expect(decodeKey({ metadata: {} }, key)).toBeUndefined()
  })

  it('has nothing where the bytes are no text', () => {
    const data = { key: Buffer.from([0xff, 0xfe, 0x00]).toString('base64') }
    expect(decodeKey({ metadata: {}, data }, 'key')).toBeUndefined()
  })
})
