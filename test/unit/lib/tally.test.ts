import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Tally } from '../../../src/lib/tally.ts'

describe('Tally', () => {
  it('has a value until the value was removed as often as added', () => {
    const tally = new Tally<string>()
    tally.add('a')
    tally.add('a')
    tally.remove('a')
    expect(tally.has('a')).toBe(true)
    tally.remove('a')
    expect(tally.has('a')).toBe(false)
    expect([...tally.values()]).toEqual([])
  })

  it('ignores the removal of a value that is absent', () => {
    const tally = new Tally<string>()
    tally.remove('a')
    tally.add('a')
    expect(tally.has('a')).toBe(true)
  })

  it('lists each value once', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', 'b', 'c')), (values) => {
        const tally = new Tally<string>()
        for (const value of values) tally.add(value)
        expect([...tally.values()].toSorted()).toEqual([...new Set(values)].toSorted())
      }),
    )
  })
})
