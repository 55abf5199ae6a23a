import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CompactMap } from '../../../src/lib/compact-map.ts'

describe('CompactMap', () => {
  it('answers like a Map after any series of calls', () => {
    const key = fc.nat(60)
    const call = fc.oneof(
      { weight: 10, arbitrary: fc.tuple(fc.constant('set' as const), key, fc.integer()) },
      { weight: 10, arbitrary: fc.tuple(fc.constant('delete' as const), key) },
      { weight: 1, arbitrary: fc.tuple(fc.constant('clear' as const)) },
    )
    fc.assert(
      fc.property(fc.array(call, { minLength: 100, maxLength: 400 }), (calls) => {
        const [compact, map] = [new CompactMap<number, number>(), new Map<number, number>()]
        for (const [name, of = 0, value = 0] of calls) {
          if (name === 'set') {
            compact.set(of, value)
            map.set(of, value)
          } else if (name === 'delete') {
            expect(compact.delete(of)).toBe(map.delete(of))
          } else {
            compact.clear()
            map.clear()
          }
          expect([...compact]).toEqual([...map])
        }
      }),
    )
  })

  it('shows each entry once while entries before it are deleted', () => {
    const keys = Array.from({ length: 1000 }, (_, at) => at)
    const compact = new CompactMap(keys.map((key) => [key, key]))
    const seen: number[] = []
    for (const key of compact.keys()) {
      seen.push(key)
      compact.delete(key)
    }
    expect(seen).toEqual(keys)
  })

  it('takes no more memory after its entries have left and come again', () => {
    // A Map doubles its table: 229 KB more.
    expect(growthWhileRenewed(5000)).toBeLessThan(50_000)
  })

  it('is not built anew with more than 100,000 entries, which would hold up the event loop', () => {
    expect(growthWhileRenewed(100_020)).toBeGreaterThan(3_000_000)
  })
})

/** Bytes by which a map of so many entries grows while each leaves and comes again, several times. */
function growthWhileRenewed(size: number): number {
  const compact = new CompactMap<number, number>()
  const renew = (): void => {
    for (let key = 0; key < size; key++) {
      compact.delete(key)
      compact.set(key, key)
    }
  }
  renew()
  const before = tableBytes()
  for (let round = 0; round < 5; round++) renew()
  const growth = tableBytes() - before
  expect(compact.size).toBe(size)
  return growth
}

/** What large objects take, such as the table of a map with 5,000 entries, once all garbage is collected. */
function tableBytes(): number {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
  return (
    getHeapSpaceStatistics().find(({ space_name }) => space_name === 'large_object_space')?.space_used_size ??
    Number.NaN
  )
}
