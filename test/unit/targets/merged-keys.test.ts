import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import {
  applyBody,
  compareMerged,
  mergedKeys,
  type MergeIdentity,
  releaseBody,
} from '../../../src/targets/merged-keys.ts'
import type { Secret } from '../../../src/targets/secret.ts'
import { operator, secret } from '../../support/builders.ts'

const ours = 'enos-credential:uid-wind-farm'
const orphan = 'enos-credential:uid-gone'
const living = 'enos-credential:uid-other'
const identity: MergeIdentity = {
  credentialName: 'wind-farm',
  manager: ours,
  operatorManager: operator,
  isOrphan: (manager) => manager === orphan,
  isRival: (manager) => manager === living,
}

/** A key of a Secret: its text, and the field manager that owns it by managedFields. */
interface Held {
  readonly text: string
  readonly holders: readonly string[]
}

function secretOf(keys: Readonly<Record<string, Held>>): Secret {
  const managers = [...new Set(Object.values(keys).flatMap(({ holders }) => holders))]
  const fieldsOf = (manager: string) =>
    Object.entries(keys).flatMap(([key, { holders }]) => (holders.includes(manager) ? [[`f:${key}`, {}]] : []))
  const managedFields = managers.map((manager) => ({
    manager,
    fieldsV1: { 'f:data': { '.': {}, ...(Object.fromEntries(fieldsOf(manager)) as object) }, 'f:type': {} },
  }))
  const texts = Object.fromEntries(Object.entries(keys).map(([key, { text }]) => [key, text]))
  return secret(texts, { metadata: { managedFields } })
}

const sensitive = (texts: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, new Sensitive(text)]))

function compare(
  keys: Readonly<Record<string, Held>>,
  wanted: Readonly<Record<string, string>>,
  recorded: string[] = [],
) {
  return compareMerged(secretOf(keys), sensitive(wanted), recorded, identity)
}

describe('compareMerged', () => {
  it('compareMerged returns nothing to do when our keys are in sync, whatever other keys the Secret has', () => {
    const keys = { token: { text: 'new', holders: [ours] }, password: { text: 'p', holders: ['kubectl'] } }
    expect(compare(keys, { token: 'new' })).toEqual({ kind: 'same' })
  })

  it('compareMerged adds missing keys, and changes our own, without force', () => {
    const keys = { token: { text: 'old', holders: [ours] }, password: { text: 'p', holders: ['kubectl'] } }
    expect(compare(keys, { token: 'new' })).toEqual({ kind: 'differs', isForced: false })
    expect(compare(keys, { token: 'old', expiry: 'e' })).toEqual({ kind: 'differs', isForced: false })
    expect(compareMerged({ metadata: {} }, sensitive({ token: 'new' }), [], identity)).toEqual({
      kind: 'differs',
      isForced: false,
    })
  })

  it('compareMerged does not touch a key of another field manager', () => {
    for (const holder of ['kubectl', operator, living]) {
      const keys = { token: { text: 'theirs', holders: [holder] }, expiry: { text: 'e', holders: [ours] } }
      expect(compare(keys, { token: 'new', expiry: 'e' })).toEqual({ kind: 'conflict', keys: ['token'] })
    }
  })

  it('compareMerged does not touch a key without a field manager', () => {
    expect(compare({ token: { text: 'theirs', holders: [] } }, { token: 'new' })).toEqual({
      kind: 'conflict',
      keys: ['token'],
    })
  })

  it('compareMerged does not take over a key of another field manager that has the desired value by chance', () => {
    expect(compare({ token: { text: 'new', holders: ['kubectl'] } }, { token: 'new' })).toEqual({
      kind: 'conflict',
      keys: ['token'],
    })
  })

  it('compareMerged takes a recorded key back by force when another field manager has changed it', () => {
    const keys = { token: { text: 'altered', holders: ['kubectl'] } }
    expect(compare(keys, { token: 'new' }, ['token'])).toEqual({ kind: 'differs', isForced: true })
  })

  it('compareMerged does not take back a key that another credential owns by now, which would take it back in turn', () => {
    const keys = { token: { text: 'altered', holders: [living] } }
    expect(compare(keys, { token: 'new' }, ['token'])).toEqual({ kind: 'conflict', keys: ['token'] })
  })

  it('compareMerged takes over by force the keys of a credential that no longer exists', () => {
    expect(compare({ token: { text: 'old', holders: [orphan] } }, { token: 'new' })).toEqual({
      kind: 'differs',
      isForced: true,
    })
    expect(compare({ token: { text: 'old', holders: [orphan, 'kubectl'] } }, { token: 'new' })).toEqual({
      kind: 'conflict',
      keys: ['token'],
    })
  })

  it('compareMerged changes by force a key that another field manager owns as well, since the API server refuses the change otherwise', () => {
    const keys = { token: { text: 'old', holders: [ours, 'argocd'] } }
    expect(compare(keys, { token: 'old' })).toEqual({ kind: 'same' })
    expect(compare(keys, { token: 'new' })).toEqual({ kind: 'differs', isForced: true })
  })

  it('compareMerged removes our keys that left the spec first', () => {
    const keys = { token: { text: 'old', holders: [ours] }, removed: { text: 'f', holders: [ours, 'kubectl'] } }
    expect(compare(keys, { token: 'new' })).toEqual({ kind: 'surplus', keys: ['removed'] })
  })
})

describe('mergedKeys', () => {
  it('mergedKeys returns the keys that our field manager owns', () => {
    const keys = { token: { text: 't', holders: [ours] }, password: { text: 'p', holders: ['kubectl'] } }
    expect(mergedKeys(secretOf(keys), [], identity)).toEqual(['token'])
  })

  it('mergedKeys returns recorded keys that date from when the resource owned the whole Secret', () => {
    const keys = { token: { text: 't', holders: [operator] }, other: { text: 'o', holders: [operator] } }
    expect(mergedKeys(secretOf(keys), ['token'], identity)).toEqual(['token'])
  })

  it('mergedKeys does not return keys that another field manager has changed since', () => {
    const keys = { token: { text: 't', holders: ['kubectl'] }, expiry: { text: 'e', holders: [orphan] } }
    expect(mergedKeys(secretOf(keys), ['token', 'expiry'], identity)).toEqual([])
  })

  it('mergedKeys returns no keys for a Secret without managedFields', () => {
    expect(mergedKeys(secret({ token: 't' }), ['token'], identity)).toEqual([])
    expect(mergedKeys({ metadata: { managedFields: [{ fieldsV1: {} }, { manager: ours }] } }, [], identity)).toEqual([])
  })
})

describe('applyBody and releaseBody', () => {
  const precondition = { uid: 'uid-enos-token', resourceVersion: '20' }

  it('applyBody sets only our keys, bound to the Secret that was read', () => {
    const ref = { namespace: 'plant-a', name: 'shared' }
    expect(applyBody(ref, sensitive({ token: 'new' }), precondition)).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { namespace: 'plant-a', name: 'shared', uid: 'uid-enos-token', resourceVersion: '20' },
      data: { token: 'bmV3' },
    })
  })

  it('releaseBody removes keys by name', () => {
    expect(releaseBody(['a', 'b'], precondition)).toEqual({ metadata: precondition, data: { a: null, b: null } })
  })
})

/** Server-side apply: keys of another manager are refused without force; with force the applier owns them. */
function apply(
  keys: Readonly<Record<string, Held>>,
  wanted: Readonly<Record<string, string>>,
  isForced: boolean,
): Record<string, Held> {
  const after: Record<string, Held> = { ...keys }
  for (const [key, text] of Object.entries(wanted)) {
    const present = keys[key]
    const others = (present?.holders ?? []).filter((holder) => holder !== ours)
    const isContested = others.length > 0 && present?.text !== text
    if (isContested && !isForced) throw new Error(`HTTP 409: ${key} is held by ${others.join(', ')}`)
    after[key] = { text, holders: isContested ? [ours] : [...others, ours] }
  }
  return after
}

it('compareMerged converges from any state without a conflict, and changes no key of others', () => {
  const names = ['a', 'b', 'c', 'd'] as const
  const held = fc.record({
    text: fc.constantFrom('1', '2'),
    holders: fc.uniqueArray(fc.constantFrom(ours, operator, orphan, living, 'kubectl'), { maxLength: 3 }),
  })
  const some = fc.uniqueArray(fc.constantFrom(...names))
  const keysOf = fc.uniqueArray(fc.tuple(fc.constantFrom(...names), held), { selector: ([name]) => name })
  fc.assert(
    fc.property(keysOf, some, some, (entries, wantedNames, recorded) => {
      const before: Record<string, Held> = Object.fromEntries(entries)
      const wanted = Object.fromEntries(wantedNames.map((name) => [name, 'new']))
      const own = mergedKeys(secretOf(before), recorded, identity)
      let keys = before
      let comparison = compare(keys, wanted, recorded)
      for (let step = 0; step < 2 && comparison.kind !== 'same' && comparison.kind !== 'conflict'; step++) {
        if (comparison.kind === 'differs') {
          keys = apply(keys, wanted, comparison.isForced)
        } else {
          const { keys: surplus } = comparison
          for (const key of surplus) expect(own).toContain(key)
          keys = Object.fromEntries(Object.entries(keys).filter(([key]) => !surplus.includes(key)))
        }
        comparison = compare(keys, wanted, recorded)
      }
      if (comparison.kind === 'conflict') {
        expect(keys).toBe(before)
        for (const key of comparison.keys) expect(before[key]?.holders).not.toContain(ours)
        return
      }
      expect(comparison).toEqual({ kind: 'same' })
      for (const [key, held] of Object.entries(before)) {
        if (!own.includes(key) && !Object.hasOwn(wanted, key)) expect(keys[key]).toEqual(held)
      }
    }),
    { numRuns: 500 },
  )
})
