import { describe, expect, it } from 'vitest'
import { parseLogColours } from '../../../src/config/log-colours.ts'

describe('parseLogColours', () => {
  it.each<[Record<string, string>, boolean | undefined]>([
    [{}, undefined],
    [{ NO_COLOR: '' }, undefined],
    [{ NO_COLOR: '1' }, false],
    [{ TERM: 'dumb' }, false],
    [{ TERM: 'xterm-256color' }, undefined],
    [{ FORCE_COLOR: '' }, true],
    [{ FORCE_COLOR: '1' }, true],
    [{ FORCE_COLOR: '0' }, false],
    [{ FORCE_COLOR: 'false' }, false],
    [{ FORCE_COLOR: '3', NO_COLOR: '1' }, true],
  ])('turns %j into %s', (environment, colour) => {
    expect(parseLogColours(environment)).toBe(colour)
  })
})
