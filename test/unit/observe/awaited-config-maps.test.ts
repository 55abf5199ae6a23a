import { describe, expect, it } from 'vitest'
import type { ObjectKey } from '../../../src/kubernetes/types.ts'
import { AwaitedConfigMaps } from '../../../src/observe/awaited-config-maps.ts'
import { createCaches } from '../../../src/observe/caches.ts'
import { credential, type CredentialInput, now } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const caRef = { kind: 'ConfigMap', name: 'corp-ca' }

function world() {
  const clock = new FakeClock(now)
  const { credentials } = createCaches()
  const known: ObjectKey[][] = []
  let watches = 0
  let onSynced = (): void => undefined
  const synced = (): Promise<void> => {
    watches++
    return new Promise((resolve) => (onSynced = resolve))
  }
  const onKnown = (keys: Iterable<ObjectKey>): void => void known.push([...keys])
  const awaited = new AwaitedConfigMaps({ credentials, clock, synced, onKnown })
  const add = (name: string, { spec, ...rest }: CredentialInput = { spec: { gateway: { caRef } } }) => {
    const one = credential({ key: `plant-a/${name}`, name, uid: `uid-${name}`, spec: spec ?? {}, ...rest })
    credentials.upsert(one)
    return one
  }
  return { awaited, clock, credentials, known, add, watches: () => watches, sync: () => onSynced() }
}

describe('AwaitedConfigMaps', () => {
  it('AwaitedConfigMaps starts one watch per namespace when the store gets a credential that names a ConfigMap', () => {
    const { add, watches } = world()
    add('without', {})
    add('leaving', { isDeleting: true, spec: { gateway: { caRef } } })
    expect(watches()).toBe(0)
    add('a')
    add('b')
    expect(watches()).toBe(1)
  })

  it('AwaitedConfigMaps ends the wait of one namespace when its ConfigMaps are synced', async () => {
    const { add, awaited, clock, sync, watches } = world()
    const here = add('a')
    const there = add('b', { key: 'plant-b/b', namespace: 'plant-b', spec: { gateway: { caRef } } })
    expect(watches()).toBe(2)
    // ConfigMaps of plant-b.
    sync()
    await clock.advance(0)
    expect([here, there].map((one) => awaited.awaitedSince(one))).toEqual([now, undefined])
  })

  it('AwaitedConfigMaps gives the start of the watch for each credential that names a ConfigMap, until the sync', async () => {
    const { add, awaited, clock, sync } = world()
    const [without, first] = [add('without', {}), add('a')]
    await clock.advance(1000)
    const second = add('b')
    expect([without, first, second].map((one) => awaited.awaitedSince(one))).toEqual([undefined, now, now])
    sync()
    await clock.advance(0)
    expect(awaited.awaitedSince(first)).toBeUndefined()
  })

  it('AwaitedConfigMaps enqueues, on the sync, the credentials of the namespace that name a ConfigMap by then', async () => {
    const { add, clock, credentials, known, sync } = world()
    add('a')
    credentials.remove(add('gone'))
    add('changed')
    add('changed', { resourceVersion: '101' })
    add('b')
    add('without', {})
    sync()
    await clock.advance(0)
    expect(known).toEqual([['plant-a/a', 'plant-a/b']])
  })
})

it('AwaitedConfigMaps keeps no namespace without credentials, after any number of namespaces', async () => {
  const { add, awaited, clock, credentials, sync } = world()
  for (let n = 0; n < 100; n++) {
    const namespace = `plant-${n}`
    const one = add('a', { key: `${namespace}/a`, namespace, uid: `uid-${n}`, spec: { gateway: { caRef } } })
    sync()
    await clock.advance(0)
    expect(awaited.size).toBe(1)
    credentials.remove(one)
    expect(awaited.size).toBe(0)
  }
})
