import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { isNewer, isOlder, maxRemovedObjects, Store, type Stored } from '../../../src/kubernetes/store.ts'

interface Item extends Stored {
  readonly values?: readonly string[]
}

function item(name: string, resourceVersion: number, more: Partial<Item> = {}): Item {
  return { namespace: 'plant-a', name, uid: `uid-${name}`, resourceVersion: String(resourceVersion), ...more }
}

describe('isNewer', () => {
  it.each([
    ['10', '9', true],
    ['9', '10', false],
    ['10', '10', false],
    ['18446744073709551615', '9007199254740993', true],
    ['9007199254740993', '9007199254740992', true],
    // A version that is not a number cannot be compared: it counts as newer.
    ['abc', '10', true],
    ['10', 'abc', true],
    ['', '10', true],
  ])('compares %j to %j: %s', (resourceVersion, than, expected) => {
    expect(isNewer(resourceVersion, than)).toBe(expected)
  })

  it('orders versions as numbers', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n }), fc.bigInt({ min: 0n, max: 2n ** 64n }), (a, b) => {
        expect(isNewer(String(a), String(b))).toBe(a > b)
      }),
    )
  })
})

describe('isOlder', () => {
  it.each([
    ['9', '10', true],
    ['10', '9', false],
    ['10', '10', false],
    // Versions that are not numbers have no order.
    ['abc', '10', false],
    ['10', 'abc', false],
    ['', '10', false],
  ])('compares %j to %j: %s', (resourceVersion, than, expected) => {
    expect(isOlder(resourceVersion, than)).toBe(expected)
  })
})

describe('Store.remove', () => {
  it('keeps an object removed when the answer to an own write comes after its deletion', () => {
    const store = new Store<Item>()
    store.upsert(item('target', 10))
    store.remove(item('target', 12))
    store.upsert(item('target', 11))
    expect(store.size).toBe(0)
  })

  it('keeps an object removed that the store had not seen yet', () => {
    const store = new Store<Item>()
    store.remove(item('target', 12))
    store.upsert(item('target', 11))
    expect(store.size).toBe(0)
  })

  it('lets an object come back that had only left the selector of the watch, or has another uid', () => {
    const store = new Store<Item>()
    store.remove(item('relabelled', 12))
    store.remove(item('recreated', 12))
    store.upsert(item('relabelled', 13))
    store.upsert(item('recreated', 11, { uid: 'another' }))
    expect(store.size).toBe(2)
  })

  it('forgets versions of removed objects when the API server went back', () => {
    const store = new Store<Item>()
    store.remove(item('target', 12))
    store.reset([])
    store.upsert(item('target', 11))
    expect(store.size).toBe(1)
  })

  it('remembers the last removed objects only', () => {
    const store = new Store<Item>()
    for (let index = 0; index <= maxRemovedObjects; index++) store.remove(item(`gone-${index}`, 12))
    store.upsert(item('gone-0', 11))
    store.upsert(item('gone-1', 11))
    expect([...store.keys()]).toEqual(['plant-a/gone-0'])
  })
})

describe('Store.reset', () => {
  it('makes the store equal to the list, also where stored objects are newer', () => {
    const store = new Store<Item>(({ values = [] }) => values)
    store.upsert(item('newer', 12, { values: ['x'] }))
    store.upsert(item('gone', 11))
    const subscriber = vi.fn()
    store.subscribe(subscriber)
    store.reset([item('newer', 5, { values: ['y'] }), item('new', 6)])
    expect([...store.values()].map(({ name, resourceVersion }) => `${name}@${resourceVersion}`).toSorted()).toEqual([
      'new@6',
      'newer@5',
    ])
    expect([[...store.byIndex('x')], [...store.byIndex('y')]]).toEqual([[], ['plant-a/newer']])
    expect(subscriber.mock.calls.flat().toSorted()).toEqual(['plant-a/gone', 'plant-a/new', 'plant-a/newer'])
  })

  it('notifies of an object of the same version, which may have other content in the older history', () => {
    const store = new Store<Item>(({ values = [] }) => values)
    store.upsert(item('a', 5, { values: ['x'] }))
    store.reset([item('a', 5, { values: ['y'] })])
    expect(store.get('plant-a/a')?.values).toEqual(['y'])
  })

  it('of one namespace leaves other namespaces unchanged', () => {
    const store = new Store<Item>()
    store.upsert(item('a', 9))
    store.upsert(item('b', 2, { namespace: 'plant-b' }))
    store.reset([], 'plant-a')
    expect([...store.keys()]).toEqual(['plant-b/b'])
  })
})

describe('Store.upsert', () => {
  it('stores newer versions only, and notifies subscribers of those', () => {
    const store = new Store<Item>()
    const subscriber = vi.fn()
    store.subscribe(subscriber)
    store.upsert(item('a', 9))
    store.upsert(item('a', 10))
    store.upsert(item('a', 9))
    store.upsert(item('a', 10))
    expect(store.get('plant-a/a')?.resourceVersion).toBe('10')
    expect(subscriber.mock.calls).toEqual([['plant-a/a'], ['plant-a/a']])
  })

  it('keeps objects of the same name in two namespaces apart', () => {
    const store = new Store<Item>()
    store.upsert(item('a', 1))
    store.upsert(item('a', 2, { namespace: 'plant-b' }))
    expect([...store.keys()].toSorted()).toEqual(['plant-a/a', 'plant-b/a'])
    expect([...store.values()]).toHaveLength(2)
    expect(store.size).toBe(2)
  })

  it('notifies subscribers after the change', () => {
    const store = new Store<Item>()
    const seen: (string | undefined)[] = []
    store.subscribe((key) => seen.push(store.get(key)?.resourceVersion))
    store.upsert(item('a', 1))
    store.remove(item('a', 2))
    expect(seen).toEqual(['1', undefined])
  })
})

describe('Store.remove', () => {
  it('removes an object by name alone or with uid and resourceVersion', () => {
    const store = new Store<Item>()
    for (const object of [item('a', 1), { namespace: 'plant-a', name: 'a' }, item('a', 1, { uid: 'uid-a' })]) {
      store.upsert(item('a', 1))
      store.remove(object)
      expect(store.size).toBe(0)
    }
  })

  it('keeps an object that was created under the same name later', () => {
    const store = new Store<Item>()
    const subscriber = vi.fn()
    store.upsert(item('a', 10, { uid: 'second' }))
    store.subscribe(subscriber)
    store.remove(item('a', 8, { uid: 'first' }))
    expect(store.get('plant-a/a')?.uid).toBe('second')
    expect(subscriber).not.toHaveBeenCalled()
  })

  it('removes an object that is older than the deletion of a later one of its name', () => {
    const store = new Store<Item>()
    store.upsert(item('a', 10, { uid: 'first' }))
    store.remove(item('a', 15, { uid: 'second' }))
    expect(store.size).toBe(0)
  })

  it('notifies no subscriber when the object is absent', () => {
    const store = new Store<Item>()
    const subscriber = vi.fn()
    store.subscribe(subscriber)
    store.remove(item('a', 1))
    expect(subscriber).not.toHaveBeenCalled()
  })
})

describe('Store.onRemoval', () => {
  it('gives the last stored state of an object that is removed, and nothing else', () => {
    const store = new Store<Item>()
    const last = vi.fn()
    store.onRemoval(last)
    store.upsert(item('a', 5))
    store.upsert(item('a', 6))
    store.remove({ namespace: 'plant-a', name: 'b' })
    expect(last.mock.calls).toEqual([])
    store.remove({ namespace: 'plant-a', name: 'a' })
    expect(last.mock.calls).toEqual([[item('a', 6)]])
  })
})

describe('Store.replace', () => {
  it('makes the store equal to the list', () => {
    const store = new Store<Item>()
    for (const name of ['gone', 'kept', 'changed']) store.upsert(item(name, 5))
    const subscriber = vi.fn()
    store.subscribe(subscriber)
    store.replace([item('kept', 5), item('changed', 7), item('new', 6)], '8')
    expect([...store.keys()].toSorted()).toEqual(['plant-a/changed', 'plant-a/kept', 'plant-a/new'])
    expect(store.get('plant-a/changed')?.resourceVersion).toBe('7')
    expect(subscriber.mock.calls.flat().toSorted()).toEqual(['plant-a/changed', 'plant-a/gone', 'plant-a/new'])
  })

  it('keeps objects that are newer than the list', () => {
    const store = new Store<Item>()
    store.upsert(item('written', 12))
    store.upsert(item('made', 11))
    store.replace([item('written', 5)], '10')
    expect(store.get('plant-a/written')?.resourceVersion).toBe('12')
    expect(store.get('plant-a/made')?.resourceVersion).toBe('11')
  })

  it('of one namespace leaves other namespaces unchanged', () => {
    const store = new Store<Item>()
    store.upsert(item('a', 1))
    store.upsert(item('b', 2, { namespace: 'plant-b' }))
    store.replace([], '10', 'plant-a')
    expect([...store.keys()]).toEqual(['plant-b/b'])
  })
})

describe('Store.byIndex', () => {
  const indexed = (): Store<Item> => new Store<Item>(({ values = [] }) => values)

  it('returns the keys whose objects have the value', () => {
    const store = indexed()
    store.upsert(item('a', 1, { values: ['x', 'y'] }))
    store.upsert(item('b', 2, { values: ['x'] }))
    expect([...store.byIndex('x')]).toEqual(['plant-a/a', 'plant-a/b'])
    store.upsert(item('a', 3, { values: ['z'] }))
    expect([...store.byIndex('x')]).toEqual(['plant-a/b'])
    expect([...store.byIndex('y')]).toEqual([])
    expect([...store.byIndex('z')]).toEqual(['plant-a/a'])
    store.remove(item('b', 4))
    expect([...store.byIndex('x')]).toEqual([])
  })

  it('agrees with a scan of all objects after any steps', () => {
    const name = fc.constantFrom('a', 'b', 'c')
    const values = fc.uniqueArray(fc.constantFrom('x', 'y', 'z'))
    const object = fc.record({ name, values, resourceVersion: fc.nat(30) })
    const step = fc.oneof(
      fc.record({ do: fc.constant('upsert' as const), object }),
      fc.record({ do: fc.constant('remove' as const), object }),
      fc.record({ do: fc.constant('replace' as const), objects: fc.array(object), resourceVersion: fc.nat(30) }),
    )
    const toItem = ({ name, values, resourceVersion }: { name: string; values: string[]; resourceVersion: number }) =>
      item(name, resourceVersion, { values })
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const store = indexed()
        for (const next of steps) {
          if (next.do === 'replace') store.replace(next.objects.map(toItem), String(next.resourceVersion))
          else store[next.do](toItem(next.object))
        }
        for (const value of ['x', 'y', 'z']) {
          const expected = [...store.values()].filter(({ values }) => values?.includes(value) === true)
          expect([...store.byIndex(value)].toSorted()).toEqual(expected.map(({ name }) => `plant-a/${name}`).toSorted())
        }
      }),
    )
  })
})
