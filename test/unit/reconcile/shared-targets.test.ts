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
})
