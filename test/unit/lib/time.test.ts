import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatMicroTime, formatTime } from '../../../src/lib/time.ts'

describe('formatTime', () => {
  it.each([
    [0, '1970-01-01T00:00:00Z'],
    [Date.UTC(2026, 0, 2, 3, 4, 5), '2026-01-02T03:04:05Z'],
    [Date.UTC(2026, 0, 2, 3, 4, 5, 999), '2026-01-02T03:04:05Z'],
    [1_767_232_800_000.75, '2026-01-01T02:00:00Z'],
  ])('formats %d as %s', (epochMs, text) => {
    expect(formatTime(epochMs)).toBe(text)
  })

  it('truncates to whole seconds', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Date.UTC(2199, 0) }), (epochMs) => {
        expect(Date.parse(formatTime(epochMs))).toBe(Math.floor(epochMs / 1000) * 1000)
      }),
    )
  })
})

describe('formatMicroTime', () => {
  it.each([
    [0, '1970-01-01T00:00:00.000000Z'],
    [Date.UTC(2026, 0, 2, 3, 4, 5, 678) * 1000 + 901, '2026-01-02T03:04:05.678901Z'],
    [Date.UTC(2026, 0, 2, 3, 4, 5) * 1000 + 7, '2026-01-02T03:04:05.000007Z'],
    [999.9, '1970-01-01T00:00:00.000999Z'],
  ])('formats %d µs as %s', (epochMicros, text) => {
    expect(formatMicroTime(epochMicros)).toBe(text)
  })
})
