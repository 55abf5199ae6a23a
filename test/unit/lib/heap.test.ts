import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Heap } from '../../../src/lib/heap.ts'

const ascending = (): Heap<number> => new Heap<number>((a, b) => a < b)

describe('Heap', () => {
  it('returns undefined while empty', () => {
    const heap = ascending()
    expect(heap.peek()).toBeUndefined()
    expect(heap.pop()).toBeUndefined()
    expect(heap.size).toBe(0)
  })

  it('holds exactly the items of reset', () => {
    const heap = ascending()
    for (const item of [5, 1, 4]) heap.push(item)
    heap.reset([3, 9, 2])
    expect([heap.pop(), heap.pop(), heap.pop(), heap.pop()]).toEqual([2, 3, 9, undefined])
  })

  it('pops all items in order', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -20, max: 20 })), (items) => {
        const heap = ascending()
        for (const item of items) heap.push(item)
        expect(heap.size).toBe(items.length)
        expect(items.map(() => heap.pop())).toEqual(items.toSorted((a, b) => a - b))
        expect(heap.size).toBe(0)
      }),
    )
  })

  it('pops the first item, however pushes and pops are mixed', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.integer(), { nil: undefined, freq: 3 })), (steps) => {
        const heap = ascending()
        const held: number[] = []
        for (const item of steps) {
          if (item !== undefined) {
            heap.push(item)
            held.push(item)
            held.sort((a, b) => a - b)
          } else {
            expect(heap.peek()).toBe(held[0])
            expect(heap.pop()).toBe(held.shift())
          }
          expect(heap.size).toBe(held.length)
        }
      }),
    )
  })
})
