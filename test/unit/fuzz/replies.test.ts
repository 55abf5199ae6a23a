import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseReply } from '../../../src/enos/reply.ts'
import { marker } from '../../support/builders.ts'

/** The reply of a gateway, or of a server before it: right, nearly right, and anything else. */
const good = {
  status: 0,
  msg: 'SUCCESS',
  business: 'apim-token-service',
  data: { accessToken: marker.token, expire: 7200 },
}
const anyJson = fc.oneof(
  fc.jsonValue({ maxDepth: 4 }),
  fc.constantFrom(null, [], {}, '', 0, '0', '7200', -1, 1e308, 1e-308, true, marker.token),
)
const field = fc.constantFrom(
  'status',
  'stauts',
  'code',
  'msg',
  'data',
  'accessToken',
  'expire',
  '__proto__',
  'constructor',
)

/** The right answer with some of its fields replaced, moved or taken away. */
const mutated = fc.array(fc.tuple(fc.boolean(), field, anyJson), { minLength: 1, maxLength: 4 }).map((changes) => {
  const reply: Record<string, unknown> = structuredClone(good)
  for (const [isInData, name, value] of changes) {
    const target = isInData && typeof reply['data'] === 'object' && reply['data'] !== null ? reply['data'] : reply
    // A copy: what is shared would be changed for all, and could come to hold itself.
    Object.defineProperty(target, name, {
      value: structuredClone(value),
      enumerable: true,
      configurable: true,
      writable: true,
    })
  }
  return JSON.stringify(reply)
})
const cut = fc.nat({ max: JSON.stringify(good).length }).map((length) => JSON.stringify(good).slice(0, length))
const doubled = anyJson.map(
  (value) => `{"status":0,"status":${JSON.stringify(value)},"data":${JSON.stringify(good.data)}}`,
)
const deep = fc.integer({ min: 1, max: 5000 }).map((depth) => `${'['.repeat(depth)}${']'.repeat(depth)}`)
const bodies = fc.oneof(
  mutated,
  mutated,
  cut,
  doubled,
  deep,
  fc.string({ unit: 'binary' }),
  anyJson.map((value) => JSON.stringify(value)),
  mutated.map((body) => `\uFEFF${body}`),
)

describe('parseReply of any body', () => {
  it('returns a token, a status or a problem that quotes nothing, and never throws', () => {
    fc.assert(
      fc.property(bodies, (body) => {
        const reply = parseReply(body)
        if (reply.kind === 'unexpected') {
          expect(reply.problem).not.toContain(marker.token)
          expect(reply.problem.length).toBeLessThan(160)
          return
        }
        if (reply.kind === 'status') {
          expect(Number.isSafeInteger(reply.status)).toBe(true)
          expect(reply.status).not.toBe(0)
          return
        }
        const { accessToken, expire } = (JSON.parse(body.replace(/^\uFEFF/, '')) as typeof good).data
        expect(reply.token.reveal()).toBe(accessToken)
        expect(reply.token.reveal()).toMatch(/^[\x21-\x7e]{1,16384}$/)
        expect(reply.expireMs).toBe(expire * 1000)
        expect(reply.expireMs).toBeGreaterThanOrEqual(0)
        expect(reply.expireMs).toBeLessThanOrEqual(366 * 86_400_000)
      }),
      { numRuns: 5000 },
    )
  })

  it('takes a valid token with any other fields beside it', () => {
    const token = fc.stringMatching(/^[\x21-\x7e]{1,60}$/)
    const life = fc.integer({ min: 0, max: 7200 })
    const beside = fc.dictionary(
      fc.string().filter((name) => !['status', 'stauts', 'data'].includes(name)),
      anyJson,
    )
    fc.assert(
      fc.property(token, life, beside, (accessToken, expire, rest) => {
        const reply = parseReply(JSON.stringify({ ...rest, status: 0, data: { ...rest, accessToken, expire } }))
        expect(reply).toMatchObject({ kind: 'token', expireMs: expire * 1000 })
      }),
      { numRuns: 2000 },
    )
  })
})
