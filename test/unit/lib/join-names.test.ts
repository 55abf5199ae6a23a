import { describe, expect, it } from 'vitest'
import { joinNames } from '../../../src/lib/join-names.ts'

describe('joinNames', () => {
  it.each<[readonly string[], string]>([
    [[], ''],
    [['a'], 'a'],
    [['a', 'b', 'c', 'd', 'e'], 'a, b, c, d, e'],
    [['a', 'b', 'c', 'd', 'e', 'f', 'g'], 'a, b, c, d, e and 2 more'],
  ])('turns %j into "%s"', (names, text) => {
    expect(joinNames(names)).toBe(text)
  })

  it('joinNames joins sentences by another separator', () => {
    expect(joinNames(['a', 'b', 'c', 'd', 'e', 'f'], '; ')).toBe('a; b; c; d; e and 1 more')
  })
})
