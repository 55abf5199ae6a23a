import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseReply } from '../../../src/enos/reply.ts'

const token = 'APP_PORTAL_S_marker'

function body(overrides: Record<string, unknown> = {}, data: unknown = { accessToken: token, expire: 7200 }): string {
  return JSON.stringify({ status: 0, msg: 'SUCCESS', business: 'apim-token-service', data, ...overrides })
}

describe('parseReply', () => {
  it('reads token and remaining life, in ms', () => {
    const reply = parseReply(body())
    if (reply.kind !== 'token') throw new Error(`seen ${reply.kind}`)
    expect(reply.token.reveal()).toBe(token)
    expect(reply.expireMs).toBe(7_200_000)
  })

  it.each([
    ['a misspelt status, as samples of the documentation have it', { status: undefined, stauts: 0 }],
    ['the business of EnOS Edge', { business: 'edge-iam' }],
    ['no msg and no business', { msg: undefined, business: undefined }],
    ['unknown fields', { requestId: 'x', extra: [1] }],
    ['a status as text', { status: '0' }],
    ['a misspelt status as text', { status: undefined, stauts: '0' }],
    ['an expire as text', { data: { accessToken: token, expire: '7200' } }],
  ])('takes %s', (_, overrides) => {
    expect(parseReply(body(overrides))).toMatchObject({ kind: 'token', expireMs: 7_200_000 })
  })

  it('takes an expire of 0, which is a legal countdown', () => {
    expect(parseReply(body({}, { accessToken: token, expire: 0 }))).toMatchObject({ kind: 'token', expireMs: 0 })
  })

  it.each([1001, 1002, 1003, 1004, 1005, 1202, 1203, 1204, -1, 99_999])(
    'reads the status %i, whatever else',
    (code) => {
      expect(parseReply(body({ status: code }, null))).toEqual({ kind: 'status', status: code })
    },
  )

  it('skips a byte-order mark', () => {
    expect(parseReply(`\uFEFF${body()}`).kind).toBe('token')
  })

  it('reads a refusal as text', () => {
    expect(parseReply('{"status":"1003"}')).toEqual({ kind: 'status', status: 1003 })
  })

  it.each([
    ['{"code":99401}', { field: 'code', value: 99_401 }],
    ['{"apim_status":"4011"}', { field: 'apim_status', value: 4011 }],
    ['{"message":"no Route matched"}', undefined],
    ['{"code":"marker"}', undefined],
    ['{"code":1000000}', undefined],
  ])('tells the error number of another server in %s', (text, code) => {
    expect(parseReply(text)).toMatchObject({ kind: 'unexpected', code })
  })

  it('reads a misspelt status that is no success', () => {
    expect(parseReply('{"stauts":1003}')).toEqual({ kind: 'status', status: 1003 })
  })

  it('believes status more than its misspelling', () => {
    expect(parseReply(body({ stauts: 0, status: 1002 }))).toEqual({ kind: 'status', status: 1002 })
  })

  it.each([
    ['nothing', ''],
    ['HTML', '<html><body>502 Bad Gateway</body></html>'],
    ['JSON that is cut off', body().slice(0, -5)],
    ['null', 'null'],
    ['a number', '0'],
    ['a list', '[]'],
    ['no status', body({ status: undefined })],
    ['a status in words', body({ status: 'SUCCESS' })],
    ['a status as text that is no whole number', body({ status: '0x0' })],
    ['a status as empty text', body({ status: '' })],
    ['a status as text with a space', body({ status: ' 0' })],
    ['a status of true', body({ status: true })],
    ['a status with a fraction', body({ status: 0.5 })],
    ['a status of null', body({ status: null })],
    ['a status that is too large to be exact', '{"status":1e300}'],
    ['no data', body({ data: undefined })],
    ['data of null', body({}, null)],
    ['data as text', body({}, 'token')],
    ['no token', body({}, { expire: 7200 })],
    ['an empty token', body({}, { accessToken: '', expire: 7200 })],
    ['a token that is no text', body({}, { accessToken: 42, expire: 7200 })],
    ['a token with a newline, which would split a header', body({}, { accessToken: `${token}\nx: y`, expire: 7200 })],
    ['a token with a space', body({}, { accessToken: `${token} x`, expire: 7200 })],
    ['a token outside of ASCII', body({}, { accessToken: `${token}ß`, expire: 7200 })],
    ['a token without end', body({}, { accessToken: 'x'.repeat(16 * 1024 + 1), expire: 7200 })],
    ['no expire', body({}, { accessToken: token })],
    ['an expire as text that is no whole number', body({}, { accessToken: token, expire: '7200.5' })],
    ['an expire in words', body({}, { accessToken: token, expire: 'two hours' })],
    ['a negative expire as text', body({}, { accessToken: token, expire: '-1' })],
    ['an expire as text of more than a year', body({}, { accessToken: token, expire: '31622401' })],
    ['a negative expire', body({}, { accessToken: token, expire: -1 })],
    ['an expire with a fraction', body({}, { accessToken: token, expire: 0.5 })],
    ['an expire of more than a year', body({}, { accessToken: token, expire: 366 * 24 * 3600 + 1 })],
    ['an expire in ms since 1970', body({}, { accessToken: token, expire: 1_767_225_600_000 })],
    ['an expire past all numbers', body().replace('7200', '1e999')],
  ])('finds %s unexpected, and quotes nothing of it', (_, text) => {
    const reply = parseReply(text)
    if (reply.kind !== 'unexpected') throw new Error(`seen ${reply.kind}`)
    expect(reply.problem).toMatch(/JSON|expected/)
    expect(reply.problem).not.toContain('marker')
  })

  it('names the field that is wrong', () => {
    expect(parseReply(body({}, { accessToken: token, expire: -1 }))).toMatchObject({
      problem: expect.stringContaining('data.expire') as string,
    })
    expect(parseReply(body({}, { expire: 1 }))).toMatchObject({
      problem: expect.stringContaining('data.accessToken') as string,
    })
  })

  it('never throws, and prints no token', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(['token', 'status', 'unexpected']).toContain(parseReply(text).kind)
      }),
    )
    expect(inspect(parseReply(body()), { depth: null, showHidden: true })).not.toContain(token)
    expect(JSON.stringify(parseReply(body()))).not.toContain(token)
  })
})
