import { describe, expect, it } from 'vitest'
import { atLeastTimes, atMost, atMostTimes, milliseconds, perSecond, quantile, table } from '../../../bench/row.ts'

describe('a line of the table', () => {
  it('is reached at its bound, and missed beyond it', () => {
    const line = (seen: number) => atMost(400, { measure: 'start', seen, format: milliseconds })
    expect(line(400)).toEqual({ measure: 'start', reach: '≤ 400 ms', seen: '400 ms', isReached: true })
    expect(line(401).isReached).toBe(false)
  })

  it('compares with the floor in both directions', () => {
    const bound = (seen: number) => ({ measure: 'rate', seen, format: perSecond })
    expect(atLeastTimes(0.5, 100, bound(50))).toMatchObject({ seen: '50/s (floor 100/s: 0.50 ×)', isReached: true })
    expect(atLeastTimes(0.5, 100, bound(49)).isReached).toBe(false)
    expect(atMostTimes(2, 100, bound(200)).isReached).toBe(true)
    expect(atMostTimes(2, 100, bound(201)).isReached).toBe(false)
  })

  it('is missed where nothing was measured', () => {
    expect(atMost(400, { measure: 'start', seen: quantile([], 0.5), format: milliseconds }).isReached).toBe(false)
  })

  it('says reached or missed in the table', () => {
    const rows = [1, 3].map((seen) => atMost(2, { measure: `calls ${seen}`, seen, format: String }))
    expect(table(rows).split('\n').slice(2)).toEqual([
      '| calls 1 | ≤ 2 | 1 | reached |',
      '| calls 3 | ≤ 2 | 3 | **missed** |',
    ])
  })
})

describe('quantile', () => {
  it.each([
    [0, 1],
    [0.5, 51],
    [0.99, 100],
    [1, 100],
  ])('at %d of 1 to 100 is %d', (share, expected) => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index)
    expect(quantile(values, share)).toBe(expected)
  })
})
