import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatDuration, parseDuration } from '../../../src/lib/duration.ts'

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

describe('parseDuration', () => {
  it.each([
    ['0s', 0],
    ['250ms', 250],
    ['10s', 10 * second],
    ['5m', 5 * minute],
    ['1h30m', 90 * minute],
    ['1h2m3s4ms', hour + 2 * minute + 3 * second + 4],
    ['90m', 90 * minute],
    ['1s1s', 2 * second],
    ['30s1h', hour + 30 * second],
    ['007s', 7 * second],
  ])('parses %s as %d ms', (text, expectedMs) => {
    expect(parseDuration(text)).toBe(expectedMs)
  })

  it.each([
    '',
    '10',
    's',
    '1d',
    '1 day',
    '1.5h',
    '-5s',
    '+5s',
    ' 5s',
    '5s ',
    '5s\n',
    '1h 30m',
    '5S',
    '٥s',
    'PT5S',
    '5µs',
  ])('refuses %j', (text) => {
    expect(() => parseDuration(text)).toThrow(RangeError)
  })

  it('quotes at most 40 characters of the text and names the expected form', () => {
    expect(() => parseDuration('1 day')).toThrow('seen "1 day", expected one like 10s, 5m or 1h30m')
    const message = messageOf(() => parseDuration('x'.repeat(5000)))
    expect(message).toContain('x'.repeat(40))
    expect(message).not.toContain('x'.repeat(41))
  })

  it('adds up its parts, in any order', () => {
    const part = fc.tuple(fc.nat(10_000), fc.constantFrom('ms', 's', 'm', 'h'))
    const unitMs = { ms: 1, s: second, m: minute, h: hour }
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
        const text = parts.map(([count, unit]) => `${count}${unit}`).join('')
        const sum = parts.reduce((total, [count, unit]) => total + count * unitMs[unit], 0)
        expect(parseDuration(text)).toBe(sum)
      }),
    )
  })
})

describe('formatDuration', () => {
  it.each([
    [0, '0s'],
    [499, '0s'],
    [500, '1s'],
    [25 * second, '25s'],
    [59_999, '1m'],
    [24 * minute + 10 * second, '24m10s'],
    [hour, '1h'],
    [hour + 59 * minute + 40 * second, '1h59m'],
    [hour + 5 * second, '1h'],
    [2 * day + 3 * hour + 4 * minute, '2d3h'],
    [-5 * second, '-5s'],
    [-1, '0s'],
    [-499, '0s'],
    [-500, '-1s'],
  ])('formats %d ms as %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })

  it('is reversed by parseDuration for whole seconds below an hour', () => {
    fc.assert(
      fc.property(fc.nat(3599), (seconds) => {
        expect(parseDuration(formatDuration(seconds * second))).toBe(seconds * second)
      }),
    )
  })

  it('drops less than one of its last unit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 3600, max: 86_399 }), (seconds) => {
        const shown = parseDuration(formatDuration(seconds * second)) / second
        expect(shown).toBeLessThanOrEqual(seconds)
        expect(seconds - shown).toBeLessThan(60)
      }),
    )
  })

  it('formats a negative duration with a minus', () => {
    fc.assert(
      fc.property(fc.integer({ min: 500, max: 30 * day }), (ms) => {
        expect(formatDuration(-ms)).toBe(`-${formatDuration(ms)}`)
      }),
    )
  })
})

function messageOf(call: () => unknown): string {
  try {
    call()
  } catch (error) {
    return (error as Error).message
  }
  throw new Error('nothing was thrown')
}
