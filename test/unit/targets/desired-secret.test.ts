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

/** An entry of managedFields: the labels and annotations that a field manager has set. */
function managedEntry(manager: string, labels: readonly string[], annotations: readonly string[] = []) {
  const fields = (names: readonly string[]) => Object.fromEntries(names.map((name) => [`f:${name}`, {}]))
  return {
    manager,
    fieldsV1: { 'f:metadata': { 'f:labels': { '.': {}, ...fields(labels) }, 'f:annotations': fields(annotations) } },
  }
}

/** The stored Secret after `desired()` was written. */
function written(metadata: Partial<Secret['metadata']> = {}, data: Record<string, string> = {}): Secret {
  const { annotations, labels } = desired()
  return secret(
    { accessToken: marker.token, ...data },
    {
      metadata: {
        labels,
        annotations,
        ownerReferences: [owner],
        managedFields: [managedEntry(operator, Object.keys(labels), Object.keys(annotations))],
        ...metadata,
      },
    },
  )
}

const compare = (existing: Secret, wanted = desired()) =>
  compareSecret(existing, wanted, { credentialUid: owner.uid, fieldManager: operator })

describe('compareSecret', () => {
  it('compareSecret returns same for a Secret as it was written', () => {
    expect(compare(written())).toEqual({ kind: 'same' })
  })

  it('compareSecret ignores labels, annotations and owner references of others', () => {
    const { annotations, labels } = desired()
    const existing = written({
      labels: { ...labels, team: 'wind' },
      annotations: { ...annotations, note: 'hands off' },
      ownerReferences: [foreignOwner, owner],
      managedFields: [
        managedEntry(operator, Object.keys(labels), Object.keys(annotations)),
        managedEntry('kubectl-edit', ['team'], ['note']),
      ],
    })
    expect(compare(existing)).toEqual({ kind: 'same' })
  })

  it('compareSecret notices another token', () => {
    expect(compare(written({}, { accessToken: 'older' }))).toEqual({ kind: 'differs', correction: noCorrection })
  })

  it('compareSecret notices a missing key', () => {
    const data = { ...desired().data, expiresAt: new Sensitive('2026-01-01T13:00:00Z') }
    expect(compare(written(), desired({ data }))).toEqual({ kind: 'differs', correction: noCorrection })
  })

  it('compareSecret treats a key that another writer added as surplus, since all data of an owned Secret is ours', () => {
    expect(compare(written({}, { extra: 'x' }))).toEqual({
      kind: 'differs',
      correction: { ...noCorrection, surplusData: ['extra'] },
    })
  })

  it('compareSecret notices changed and removed labels and annotations', () => {
    for (const labels of [{}, { 'enos.io/credential': 'other' }]) {
      expect(compare(written({ labels }))).toEqual({ kind: 'differs', correction: noCorrection })
    }
    expect(compare(written({ annotations: {} }))).toEqual({ kind: 'differs', correction: noCorrection })
  })

  it('compareSecret treats labels and annotations that left the spec as surplus, if our field manager set them', () => {
    const { annotations, labels } = desired()
    const existing = written({
      labels: { ...labels, left: '1', team: 'wind' },
      annotations: { ...annotations, gone: '1' },
      managedFields: [
        managedEntry(operator, [...Object.keys(labels), 'left'], [...Object.keys(annotations), 'gone']),
        managedEntry('kubectl-edit', ['team']),
        { manager: 'no-fields' },
      ],
    })
    expect(compare(existing)).toEqual({
      kind: 'differs',
      correction: { ...noCorrection, surplusLabels: ['left'], surplusAnnotations: ['gone'] },
    })
  })

  it('compareSecret restores our owner reference, and keeps those of others', () => {
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
  ])('compareSecret restores an owner reference of ours that %s', (_, change) => {
    expect(compare(written({ ownerReferences: [{ ...owner, ...change }, foreignOwner] }))).toEqual({
      kind: 'differs',
      correction: { ...noCorrection, owners: [foreignOwner, owner] },
    })
  })

  it('compareSecret treats an owner reference without blockOwnerDeletion as one that does not block', () => {
    const { apiVersion, controller, kind, name, uid } = owner
    expect(compare(written({ ownerReferences: [{ apiVersion, controller, kind, name, uid }] }))).toEqual({
      kind: 'same',
    })
  })

  it('compareSecret removes the owner reference from a Secret that is to be retained', () => {
    const retained = desired({ owner: undefined })
    expect(compare(written({ ownerReferences: [foreignOwner, owner] }), retained)).toEqual({
      kind: 'differs',
      correction: { ...noCorrection, owners: [foreignOwner] },
    })
    expect(compare(written({ ownerReferences: [foreignOwner] }), retained)).toEqual({ kind: 'same' })
  })

  it('compareSecret recreates a Secret of another type', () => {
    expect(compare({ ...written(), type: 'example.com/other' })).toEqual({ kind: 'recreate', reason: 'TypeChanged' })
    expect(compare(written(), desired({ type: 'example.com/token' }))).toEqual({
      kind: 'recreate',
      reason: 'TypeChanged',
    })
  })

  it('compareSecret recreates an immutable Secret, which could not take the next token', () => {
    expect(compare({ ...written(), immutable: true })).toEqual({ kind: 'recreate', reason: 'Immutable' })
  })

  it('compareSecret treats a Secret without type and data as an empty one of type Opaque', () => {
    const { metadata } = written()
    expect(compare({ metadata })).toEqual({ kind: 'differs', correction: noCorrection })
  })
})

describe('the bodies of requests', () => {
  it('createBody has all fields of the desired Secret', () => {
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

  it('createBody has no owner reference for a Secret that is to be retained', () => {
    expect(createBody(desired({ owner: undefined }))).not.toHaveProperty('metadata.ownerReferences')
  })

  it('patchBody names uid and resourceVersion of the Secret that was read, and has null for surplus fields', () => {
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

  it('patchBody has no owner references when they need no change', () => {
    expect(patchBody(desired(), noCorrection, precondition)).not.toHaveProperty('metadata.ownerReferences')
  })

  it('disownBody removes our metadata and keys, and does not touch the keys that stay', () => {
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

/** The data after the merge patch of `body`: null removes a key. */
function patched(data: Readonly<Record<string, string>>, body: object): Record<string, string> {
  const changes = (body as { data: Record<string, string | null> }).data
  return Object.fromEntries(
    Object.entries({ ...data, ...changes }).filter((entry): entry is [string, string] => entry[1] !== null),
  )
}

it('patchBody brings any Secret to any desired data with one patch, after which compareSecret returns same', () => {
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
  it('decodeKey returns any text that encodeData was given', () => {
    fc.assert(
      // TextDecoder drops a leading byte order mark.
      fc.property(
        fc.string({ unit: 'binary' }).filter((text) => !text.startsWith('\uFEFF')),
        (text) => {
          return decodeKey({ metadata: {}, data: encodeData({ key: new Sensitive(text) }) }, 'key')?.reveal() === text
        },
      ),
    )
  })

  it.each(['missing', 'constructor', 'toString'])(
    'decodeKey returns undefined for %s, a key that does not exist',
    (key) => {
      expect(decodeKey(secret({ accessToken: 'x' }), key)).toBeUndefined()
      expect(decodeKey({ metadata: {} }, key)).toBeUndefined()
    },
  )

  it('decodeKey returns undefined for bytes that are not UTF-8', () => {
    const data = { key: Buffer.from([0xff, 0xfe, 0x00]).toString('base64') }
    expect(decodeKey({ metadata: {}, data }, 'key')).toBeUndefined()
  })
})
