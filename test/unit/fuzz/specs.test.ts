import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { normaliseGatewayUrl, parseSpec, parseStatus } from '../../../src/api/v1alpha1/credential.ts'
import { parseDuration } from '../../../src/lib/duration.ts'
import { marker } from '../../support/builders.ts'
import { specCases } from '../../support/spec-table.ts'

const anyValue = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ unit: 'binary' }),
  fc.constantFrom(null, '', [], {}, -1, 1e99, `${'9'.repeat(32)}h`, '0s', marker.appSecret, '../../etc', '__proto__'),
)
const specs = specCases.map(({ spec }) => spec).filter((spec) => typeof spec === 'object' && spec !== null)

/** Paths of all fields of a value. */
function pathsOf(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, child]) => [[key], ...pathsOf(child).map((rest) => [key, ...rest])])
}

/** A spec of the table with 1 to 3 fields replaced, added or removed. */
const mutated = fc
  .record({
    at: fc.nat(specs.length - 1),
    changes: fc.array(fc.tuple(fc.nat(), fc.option(anyValue), fc.option(fc.string())), { minLength: 1, maxLength: 3 }),
  })
  .map(({ at, changes }) => {
    const spec = structuredClone(specs[at]) as Record<string, unknown>
    for (const [where, value, name] of changes) {
      const paths = pathsOf(spec)
      const path = paths[where % Math.max(1, paths.length)] ?? []
      const parent = path.slice(0, -1).reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], spec)
      if (typeof parent !== 'object' || parent === null) continue
      const key = name ?? path.at(-1) ?? 'x'
      // Only a valid length can be assigned to an array's length.
      if (Array.isArray(parent) && key === 'length') continue
      if (value === null) {
        Reflect.deleteProperty(parent, key)
      } else {
        Object.defineProperty(parent, key, {
          value: structuredClone(value),
          enumerable: true,
          configurable: true,
          writable: true,
        })
      }
    }
    return spec
  })

describe('parseSpec', () => {
  it('returns a spec or short problems that name the field and quote no value, and never throws', () => {
    fc.assert(
      fc.property(fc.oneof(mutated, mutated, anyValue), (spec) => {
        const parsed = parseSpec('wind-farm', spec)
        if (parsed.ok) return
        expect(parsed.problems.length).toBeGreaterThan(0)
        expect(parsed.problems.length).toBeLessThanOrEqual(20)
        for (const problem of parsed.problems) {
          expect(problem).toMatch(/^(?:spec|metadata)[^\n]*: /)
          expect(problem).not.toMatch(/[\n\r]/)
          expect(problem.length).toBeLessThan(1200)
        }
        expect(parsed.problems.join().includes(marker.appSecret) && !keysOf(spec).includes(marker.appSecret)).toBe(
          false,
        )
      }),
      { numRuns: 3000 },
    )
  })

  it('returns only specs that keep the promises of the contract', () => {
    fc.assert(
      fc.property(mutated, (spec) => {
        const parsed = parseSpec('wind-farm', spec)
        if (!parsed.ok) return
        const { gateway, renewBefore, targets, verifyEvery } = parsed.spec
        const url = normaliseGatewayUrl(gateway.url)
        expect(normaliseGatewayUrl(url)).toBe(url)
        expect(url.startsWith('https://') || gateway.allowInsecureHTTP).toBe(true)
        const { hash, password, search, username } = new URL(url)
        expect([hash, password, search, username]).toEqual(['', '', '', ''])
        const timeoutMs = parseDuration(gateway.timeout)
        expect(timeoutMs).toBeGreaterThanOrEqual(100)
        expect(timeoutMs).toBeLessThanOrEqual(60_000)
        for (const duration of [renewBefore, verifyEvery]) {
          if (duration !== undefined) expect(parseDuration(duration)).toBeGreaterThan(0)
        }
        const headers = (gateway.headersFrom ?? []).map(({ name }) => name.toLowerCase())
        expect(headers.length).toBeLessThanOrEqual(8)
        expect(new Set(headers).size).toBe(headers.length)
        // What the runtime's own HTTP client refuses, no admission may let through.
        for (const name of headers) expect(new Headers({ [name]: 'x' }).get(name)).toBe('x')
        expect(headers.filter((name) => /^(?:host|content-.*|transfer-encoding|proxy-.*)$/.test(name))).toEqual([])
        expect(targets.length).toBeGreaterThanOrEqual(1)
        expect(targets.length).toBeLessThanOrEqual(16)
        expect(new Set(targets.map(({ name }) => name)).size).toBe(targets.length)
        // Parsing is idempotent.
        expect(parseSpec('wind-farm', parsed.spec)).toEqual(parsed)
      }),
      { numRuns: 3000 },
    )
  })
})

it('parseStatus returns a status for any value, and never throws', () => {
  const names = fc.constantFrom(
    'conditions',
    'targets',
    'sources',
    'expiresAt',
    'tokenFingerprint',
    'consecutiveFailures',
  )
  fc.assert(
    fc.property(fc.oneof(fc.dictionary(names, anyValue), anyValue), (status) => {
      const parsed = parseStatus(status)
      expect(Array.isArray(parsed.conditions)).toBe(true)
      expect(Array.isArray(parsed.targets)).toBe(true)
    }),
    { numRuns: 2000 },
  )
})

function keysOf(value: unknown): string {
  return JSON.stringify(pathsOf(value))
}
