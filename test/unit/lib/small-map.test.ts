import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SmallMap } from '../../../src/lib/small-map.ts'

describe('SmallMap', () => {
  it('answers like a Map after any series of calls', () => {
    const key = fc.constantFrom('a', 'b', 'c', undefined)
    const call = fc.oneof(
      fc.tuple(fc.constant('set' as const), key, fc.integer()),
      fc.tuple(fc.constant('delete' as const), key),
      fc.tuple(fc.constant('clear' as const)),
    )
    fc.assert(
      fc.property(fc.array(call, { maxLength: 30 }), (calls) => {
        const [small, map] = [new SmallMap<string | undefined, number>(), new Map<string | undefined, number>()]
        for (const [name, of, value] of calls) {
          if (name === 'set') expect(small.set(of, value)).toBe(small)
          if (name === 'set') {
            map.set(of, value)
          } else if (name === 'delete') {
            expect(small.delete(of)).toBe(map.delete(of))
          } else {
            small.clear()
            map.clear()
          }
          expect([...small]).toEqual([...map])
          expect([...small.keys()]).toEqual([...map.keys()])
          expect([...small.values()]).toEqual([...map.values()])
          expect(small.size).toBe(map.size)
          for (const one of ['a', 'b', undefined]) {
            expect([small.get(one), small.has(one)]).toEqual([map.get(one), map.has(one)])
          }
          const seen: unknown[] = []
          small.forEach((entry, at, all) => seen.push([at, entry, all === small]))
          expect(seen).toEqual([...map].map(([at, entry]) => [at, entry, true]))
        }
      }),
    )
  })

  it('lets an entry be deleted while its entries are gone through', () => {
    const small = new SmallMap<string, number>().set('a', 1)
    for (const [key] of small) small.delete(key)
    expect(small.size).toBe(0)
  })
})
