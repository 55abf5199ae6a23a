import { describe, expect, it } from 'vitest'
import { SharedStrings } from '../../../src/lib/shared-strings.ts'

describe('SharedStrings', () => {
  it('leaves every value of a tree as it is', () => {
    const make = (): object => ({ a: 'x', b: ['x', 1, null, { c: 'y', d: undefined, e: true }], f: { g: [] } })
    expect(new SharedStrings(8).shareAll(make())).toEqual(make())
    expect(new SharedStrings(8).shareAll('x')).toBe('x')
  })

  it('holds no more strings than its bound, and none that is long', () => {
    const strings = new SharedStrings(10)
    for (let at = 0; at < 1000; at++) {
      strings.share(`text ${at}`)
      expect(strings.size).toBeLessThanOrEqual(10)
    }
    const before = strings.size
    expect(strings.share('x'.repeat(257))).toHaveLength(257)
    expect(strings.size).toBe(before)
  })
})
