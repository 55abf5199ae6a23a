import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KeyedHeap } from '../../../src/lib/keyed-heap.ts'

interface Item {
  readonly key: string
  readonly rank: number
}

const create = (): KeyedHeap<string, Item> => new KeyedHeap((a, b) => a.rank < b.rank)

describe('KeyedHeap', () => {
  it('has one item for each key, the last that was set', () => {
    const heap = create()
    heap.set({ key: 'a', rank: 1 })
    heap.set({ key: 'b', rank: 2 })
    heap.set({ key: 'a', rank: 3 })
    expect([heap.size, heap.get('a')?.rank, heap.has('c')]).toEqual([2, 3, false])
    expect([heap.pop()?.key, heap.pop()?.key, heap.pop()]).toEqual(['b', 'a', undefined])
  })

  it('pops like a sorted list of its items after any steps, and is bounded by the number of keys', () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd')
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant('set' as const), key, rank: fc.nat(100) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), key }) },
      { weight: 2, arbitrary: fc.constant({ do: 'pop' as const }) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const heap = create()
        const model = new Map<string, number>()
        const first = (): number | undefined => [...model.values()].toSorted((a, b) => a - b)[0]
        for (const next of steps) {
          if (next.do === 'set') {
            heap.set(next)
            model.set(next.key, next.rank)
          } else if (next.do === 'remove') {
            heap.remove(next.key)
            model.delete(next.key)
          } else {
            const expected = first()
            const popped = heap.pop()
            expect(popped?.rank).toBe(expected)
            if (popped !== undefined) model.delete(popped.key)
          }
          expect(heap.peek()?.rank).toBe(first())
          expect(heap.size).toBe(model.size)
          expect(heap.heapSize).toBeLessThanOrEqual(2 * 4 + 16)
        }
      }),
    )
  })

  it.each([
    ['replaced', (heap: KeyedHeap<string, Item>, rank: number) => heap.set({ key: 'a', rank })],
    [
      'removed',
      (heap: KeyedHeap<string, Item>, rank: number) => {
        heap.set({ key: String(rank), rank })
        heap.remove(String(rank))
      },
    ],
  ])('drops items that were %s', (_how, change) => {
    const heap = create()
    heap.set({ key: 'first', rank: -1 })
    for (let rank = 0; rank < 10_000; rank++) {
      change(heap, rank)
      expect(heap.heapSize).toBeLessThanOrEqual(2 * 2 + 16)
    }
    heap.clear()
    expect([heap.size, heap.peek()]).toEqual([0, undefined])
  })
})
