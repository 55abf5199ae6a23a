import { createHash } from 'node:crypto'
import { request } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ConsumerCalls } from '../../../simulator/consumer-calls.ts'
import { type Simulator, type SimulatorOptions, startSimulator } from '../../../simulator/server.ts'
import { apiSignatureOf } from '../../../simulator/signature.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { envelope, signed, tokenOf } from './support.ts'

const keys = { appKey: 'key-1', appSecret: 'secret-1' }
let clock: FakeClock
let simulator: Simulator
let token: string

async function start(options: SimulatorOptions = {}): Promise<void> {
  simulator = await startSimulator({ clock, applications: [keys], lifetimeSeconds: 30, ...options })
  token = tokenOf(envelope(simulator.service.get(signed('key-1', 'secret-1', clock.wall()))))
}

interface Call {
  readonly target?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer
}

interface Reply {
  readonly status: number
  readonly json: { readonly code: number; readonly message: string; readonly data?: { readonly verification: string } }
}

/** Calls with exactly this request target, which fetch would normalise. */
function call({ body, headers = {}, method = 'GET', target = '/api/assets' }: Call): Promise<Reply> {
  const { hostname, port } = new URL(simulator.url)
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path: target, method, headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, json: JSON.parse(text) as Reply['json'] })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

function sha256(...parts: readonly (string | Buffer)[]): string {
  return createHash('sha256')
    .update(Buffer.concat(parts.map((part) => Buffer.from(part))))
    .digest('hex')
}

/** @param covered the query parameters and body as the signature covers them */
function signedHeaders(covered: readonly (string | Buffer)[] = [], timestamp = String(clock.wall())) {
  const signature = sha256(token, ...covered, timestamp, 'secret-1')
  return { 'apim-accesstoken': token, 'apim-timestamp': timestamp, 'apim-signature': signature }
}

beforeEach(async () => {
  clock = new FakeClock()
  await start()
})

afterEach(() => simulator.close())

describe('an API behind the simulated gateway', () => {
  it('accepts apim-accesstoken alone', async () => {
    const reply = await call({ headers: { 'apim-accesstoken': token } })
    expect(reply).toMatchObject({ status: 200, json: { code: 0, data: { verification: 'token' } } })
  })

  it.each(['Bearer', 'bearer'])('accepts Authorization: %s', async (scheme) => {
    const reply = await call({ headers: { authorization: `${scheme} ${token}` } })
    expect(reply).toMatchObject({ status: 200, json: { data: { verification: 'bearer' } } })
  })

  it.each<[string, string, string]>([
    ['no query', '/api/assets', ''],
    ['an empty query', '/api/assets?', ''],
    ['parameters in any order', '/api/assets?orgId=o1&action=get', 'actiongetorgIdo1'],
    ['upper case before lower case', '/api/assets?b=1&a=2&B=3', 'B3a2b1'],
    ['percent-encoded values', '/api/assets?name=%E9%A3%8E%26x&q=a%20b', 'name风&xqa b'],
    ['a plus as a space', '/api/assets?q=a+b', 'qa b'],
    ['empty values', '/api/assets?b&a=', 'ab'],
    ['a repeated name in the order of the query', '/api/assets?id=2&id=1', 'id2id1'],
    ['a question mark in a value', '/api/assets?q=a?b', 'qa?b'],
  ])('accepts a signature over %s', async (_, target, covered) => {
    const reply = await call({ target, headers: signedHeaders([covered]) })
    expect(reply).toMatchObject({ status: 200, json: { data: { verification: 'signature' } } })
  })

  it('accepts a signature over the exact bytes of a body', async () => {
    const body = Buffer.concat([Buffer.from('{ "name" :"风"}\n'), Buffer.from([0xff, 0x00])])
    const headers = signedHeaders(['orgIdo1', body])
    expect((await call({ method: 'POST', target: '/api?orgId=o1', headers, body })).status).toBe(200)
    const other = Buffer.concat([Buffer.from('{"name":"风"}'), Buffer.from([0xff, 0x00])])
    expect((await call({ method: 'POST', target: '/api?orgId=o1', headers, body: other })).status).toBe(401)
  })

  it('serves every path but those of the token service and of the administration', async () => {
    const targets = [
      '/',
      '/x',
      '/simulators',
      '/simulator/state',
      '/apim-token-service/v2.0/token/put',
      '/e/apim-token-service/',
    ]
    const headers = { 'apim-accesstoken': token }
    const replies = await Promise.all(targets.map((target) => call({ target, headers })))
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 404, 404, 404])
  })

  it('accepts the old token after a refresh unless the refresh killed that token', async () => {
    const refresh = (): string =>
      tokenOf(envelope(simulator.service.refresh(signed('key-1', 'secret-1', clock.wall() + 1, token))))
    refresh()
    expect((await call({ headers: { 'apim-accesstoken': token } })).status).toBe(200)
    await simulator.close()
    await start({ doesRefreshKillOld: true })
    const next = refresh()
    expect((await call({ headers: { 'apim-accesstoken': token } })).status).toBe(401)
    expect((await call({ headers: { 'apim-accesstoken': next } })).status).toBe(200)
  })

  const wrong: readonly [string, () => Record<string, string>, RegExp][] = [
    ['no token', () => ({}), /^no token: expected the header apim-accesstoken or Authorization: Bearer$/],
    ['an empty token', () => ({ 'apim-accesstoken': '' }), /^no token/],
    ['an unknown token', () => ({ 'apim-accesstoken': 'unknown' }), /^the token is not valid: never issued/],
    ['another scheme', () => ({ authorization: `Basic ${token}` }), /^the header Authorization has another form/],
    ['Bearer without a token', () => ({ authorization: 'Bearer ' }), /^the header Authorization has another form/],
    [
      'two tokens',
      () => ({ authorization: `Bearer ${token}`, 'apim-accesstoken': token }),
      /^both apim-accesstoken and Authorization are present/,
    ],
    ['a wrong signature', () => ({ ...signedHeaders(['x']) }), /^the header apim-signature is wrong/],
    [
      'a signature in upper case',
      () => ({ ...signedHeaders(), 'apim-signature': signedHeaders()['apim-signature'].toUpperCase() }),
      /^the header apim-signature is wrong/,
    ],
    [
      'a signature without timestamp',
      () => ({ 'apim-accesstoken': token, 'apim-signature': 'x' }),
      /^the header apim-timestamp is missing/,
    ],
    [
      'a timestamp without signature',
      () => ({ 'apim-accesstoken': token, 'apim-timestamp': '1' }),
      /^the header apim-signature is missing/,
    ],
    ['a timestamp in words', () => signedHeaders([], 'now'), /^the header apim-timestamp is not valid/],
    [
      'a stale timestamp',
      () => signedHeaders([], String(clock.wall() - 300_100)),
      /^the header apim-timestamp is 300\.1 s behind the gateway's clock: expected at most 300\.0 s$/,
    ],
    [
      'a timestamp in the future',
      () => signedHeaders([], String(clock.wall() + 400_000)),
      /^the header apim-timestamp is 400\.0 s ahead of the gateway's clock/,
    ],
  ]
  it.each(wrong)('refuses %s with 401 and the problem in words', async (_, headers, problem) => {
    const { json, status } = await call({ headers: headers() })
    expect([status, json.code]).toEqual([401, 401])
    expect(json.message).toMatch(problem)
    for (const secret of [token, 'secret-1', 'key-1']) expect(JSON.stringify(json)).not.toContain(secret)
    expect(simulator.consumerCalls.refused).toBe(1)
  })

  it('refuses an expired token and states since when', async () => {
    await clock.advance(42_000)
    const { json, status } = await call({ headers: signedHeaders() })
    expect([status, json.message]).toEqual([401, 'the token expired 12.0 s ago'])
  })

  it('refuses a signature with a rotated appSecret', async () => {
    const headers = signedHeaders()
    simulator.service.setAppSecret('key-1', 'rotated')
    expect((await call({ headers })).status).toBe(401)
  })

  it('refuses a revoked token', async () => {
    simulator.service.revoke('key-1')
    expect((await call({ headers: { authorization: `Bearer ${token}` } })).status).toBe(401)
  })

  it('refuses a call without a required header before the token is looked at', async () => {
    simulator.setRequiredHeaders({ 'X-Key': 'value-1' })
    const { json, status } = await call({ headers: { 'apim-accesstoken': token } })
    expect([status, json.message]).toEqual([401, 'access denied: the header X-Key is missing'])
    expect(simulator.consumerCalls.refusals).toMatchObject([{ problem: json.message }])
    expect((await call({ headers: { 'apim-accesstoken': token, 'x-key': 'value-1' } })).status).toBe(200)
  })

  it('checks timestamps against the window of the options', async () => {
    await simulator.close()
    await start({ maxSkewMs: 1000 })
    const statusAt = async (offMs: number): Promise<number> =>
      (await call({ headers: signedHeaders([], String(clock.wall() + offMs)) })).status
    expect([await statusAt(-1000), await statusAt(-1001)]).toEqual([200, 401])
  })
})

describe('apiSignatureOf', () => {
  const call = { token: 'xxxxaaaxxxx', timestamp: '1572574909697', appSecret: new Sensitive('xxxappSecretxxx') }

  // Computed with `printf %s … | sha256sum`.
  it.each<[string, string, string, string]>([
    ['query alone', '/a?k3=v3&k1=v1&k2=v2', '', '9c7e8810c67a4c1642b41acf89c6d8ebdb697d19ba45a6ee9f170dbbc8ad0e0a'],
    [
      'query and body',
      '/a?k3=v3&k1=v1&k2=v2',
      '{"k":"v"}',
      'ffe4352a2f50dec1b234fb98e2732313c71d7775c054031cc33daad1e09f7faf',
    ],
    ['neither', '/a', '', '692296ce33c5328c6d2dfb61fdd9c74bccb963b508984aecf3dcf2f184772ec9'],
  ])('signs %s', (_, target, body, expected) => {
    expect(apiSignatureOf({ ...call, target, body: Buffer.from(body) })).toBe(expected)
  })
})

describe('ConsumerCalls', () => {
  it('keeps the last 1,000 refusals and counts all', () => {
    const calls = new ConsumerCalls()
    for (let atMs = 0; atMs < 1005; atMs++) calls.addRefused({ atMs, method: 'GET', path: '/', problem: 'no token' })
    expect(calls.refused).toBe(1005)
    expect(calls.refusals).toHaveLength(1000)
    expect(calls.refusals[0]?.atMs).toBe(5)
  })

  it('cuts long paths', () => {
    const calls = new ConsumerCalls()
    calls.addRefused({ atMs: 0, method: 'GET', path: `/${'x'.repeat(5000)}`, problem: 'no token' })
    expect(calls.refusals[0]?.path).toHaveLength(200)
  })
})
