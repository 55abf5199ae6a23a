import { describe, expect, it } from 'vitest'
import { createCaches } from '../../../src/observe/caches.ts'
import type { Credential } from '../../../src/observe/observed.ts'
import { SharedTargets } from '../../../src/reconcile/shared-targets.ts'
import { credential } from '../../support/builders.ts'

let version = 100

function one(name: string, targets: readonly string[]): Credential {
  const spec = { targets: targets.map((target) => ({ name: target })) }
  return credential({ key: `plant-a/${name}`, name, uid: `uid-${name}`, resourceVersion: `${++version}`, spec })
}

function conflicting(name: string, namespace = 'plant-a'): Credential {
  const { status, ...rest } = one(name, [`${name}-token`])
  const reported = {
    type: 'Ready',
    status: 'False',
    reason: 'TargetConflict',
    message: '',
    lastTransitionTime: '',
  } as const
  return { ...rest, namespace, key: `${namespace}/${name}`, status: { ...status, conditions: [reported] } }
}

function setUp(...credentials: Credential[]) {
  const caches = createCaches()
  for (const each of credentials) caches.credentials.upsert(each)
  return { caches, shared: new SharedTargets(caches.credentials) }
}

describe('SharedTargets', () => {
  it('note returns the other credentials of a target once', () => {
    const [a, b, c] = [one('a', ['x', 'y']), one('b', ['y']), one('c', ['z'])]
    const { shared } = setUp(a, b, c)
    expect(shared.note(a)).toEqual(['plant-a/b'])
    expect(shared.note(a)).toEqual([])
    expect(shared.note(c)).toEqual([])
  })

  it('note returns the other credentials of a target that left the spec', () => {
    const [a, b] = [one('a', ['x']), one('b', ['x'])]
    const { caches, shared } = setUp(a, b)
    shared.note(b)
    const changed = one('b', ['y'])
    caches.credentials.upsert(changed)
    expect(shared.note(changed)).toEqual(['plant-a/a'])
  })

  it('forget returns the other credentials, and ends the entry', () => {
    const [a, b] = [one('a', ['x']), one('b', ['x'])]
    const { shared } = setUp(a, b)
    for (const each of [a, b]) shared.note(each)
    expect(shared.size).toBe(2)
    expect(shared.forget(a.key)).toEqual(['plant-a/b'])
    expect(shared.forget(b.key)).toEqual(['plant-a/a'])
    expect(shared.forget(b.key)).toEqual([])
    expect(shared.size).toBe(0)
  })

  it('forget returns the credentials of the namespace that report a conflict', () => {
    const { shared } = setUp(one('a', ['x']), conflicting('b'), conflicting('c', 'plant-b'), one('d', ['y']))
    expect(shared.forget('plant-a/a')).toEqual(['plant-a/b'])
    expect(shared.forget('plant-a/b')).toEqual([])
  })

  it('a credential that reports a conflict no more waits for no deletion', () => {
    const { caches, shared } = setUp(conflicting('a'))
    expect(shared.awaitingDeletionOf('plant-a/gone')).toEqual(['plant-a/a'])
    caches.credentials.upsert(one('a', ['x']))
    expect(shared.awaitingDeletionOf('plant-a/gone')).toEqual([])
  })

  it('a credential that was made anew under the same name may have waited', () => {
    const { shared } = setUp(one('anew', ['x']), conflicting('b'))
    expect(shared.awaitingDeletionOf('plant-a/anew')).toEqual(['plant-a/anew', 'plant-a/b'])
  })
})
