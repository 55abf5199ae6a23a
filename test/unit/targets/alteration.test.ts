import { describe, expect, it } from 'vitest'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { accepting, alterationOf } from '../../../src/targets/alteration.ts'
import { compareSecret } from '../../../src/targets/compare-secret.ts'
import type { DesiredSecret } from '../../../src/targets/desired-secret.ts'
import type { Secret } from '../../../src/targets/secret.ts'
import { operator, secret } from '../../support/builders.ts'

const desired: DesiredSecret = {
  namespace: 'plant-a',
  name: 'enos-token',
  type: 'Opaque',
  labels: { team: 'wind' },
  annotations: { note: 'a' },
  owner: undefined,
  data: { accessToken: new Sensitive('t'), other: new Sensitive('o') },
}
const metadata = { labels: { team: 'wind' }, annotations: { note: 'a' } }
const asWritten = secret({ accessToken: 't', other: 'o' }, { metadata })
const none = { type: undefined, isImmutable: false, keys: [], addedKeys: [], labels: [], annotations: [] }

const alterations: [string, Secret, object][] = [
  ['immutable', { ...asWritten, immutable: true }, { ...none, isImmutable: true }],
  ['another type', { ...asWritten, type: 'example.com/x' }, { ...none, type: 'example.com/x' }],
  ['another value', secret({ accessToken: 'x', other: 'o' }, { metadata }), { ...none, keys: ['accessToken'] }],
  ['a removed key', secret({ accessToken: 't' }, { metadata }), { ...none, keys: ['other'] }],
  ['an added key', secret({ accessToken: 't', other: 'o', more: 'm' }, { metadata }), { ...none, addedKeys: ['more'] }],
  [
    'another label',
    { ...asWritten, metadata: { ...asWritten.metadata, labels: { team: 'x' } } },
    { ...none, labels: ['team'] },
  ],
  [
    'a removed annotation',
    { ...asWritten, metadata: { ...asWritten.metadata, annotations: {} } },
    { ...none, annotations: ['note'] },
  ],
]

describe('alterationOf', () => {
  it('alterationOf is undefined for a Secret that was stored as written', () => {
    expect(alterationOf(desired, asWritten)).toBeUndefined()
  })

  it('alterationOf ignores labels and annotations that were added', () => {
    const labels = { team: 'wind', added: 'x' }
    expect(alterationOf(desired, { ...asWritten, metadata: { ...asWritten.metadata, labels } })).toBeUndefined()
  })

  it.each(alterations)('alterationOf finds %s', (_, stored, expected) => {
    expect(alterationOf(desired, stored)).toEqual(expected)
  })

  it('alterationOf compares only our keys in a Secret of another owner', () => {
    const stored = secret({ ours: 'x', theirs: 'y' }, { immutable: true, type: 'example.com/x' })
    expect(alterationOf({ data: { ours: new Sensitive('x') } }, stored)).toBeUndefined()
    expect(alterationOf({ data: { ours: new Sensitive('z') } }, stored)).toEqual({ ...none, keys: ['ours'] })
  })
})

describe('accepting', () => {
  const compare = (existing: Secret, wanted: DesiredSecret) =>
    compareSecret({ ...existing, immutable: false }, wanted, { credentialUid: 'uid-wind-farm', fieldManager: operator })

  it.each(alterations)(
    'accepting makes a Secret with %s equal to the desired one, from which it differs otherwise',
    (what, stored) => {
      const alteration = alterationOf(desired, stored)
      if (alteration === undefined) throw new Error('no alteration')
      expect(compare(stored, accepting(desired, alteration, stored)).kind).toBe('same')
      if (what !== 'immutable') expect(compare(stored, desired).kind).not.toBe('same')
    },
  )

  it('accepting keeps a difference by another writer in a part that admission did not alter', () => {
    const stored = secret({ accessToken: 'x', other: 'o' }, { metadata })
    const alteration = alterationOf(desired, stored)
    if (alteration === undefined) throw new Error('no alteration')
    const drifted = secret({ accessToken: 'x', other: 'forged' }, { metadata })
    expect(compare(drifted, accepting(desired, alteration, drifted)).kind).toBe('differs')
  })
})
