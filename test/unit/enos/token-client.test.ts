import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { GatewayDispatchers, type GatewayTls } from '../../../src/enos/gateway-dispatchers.ts'
import { signRequest } from '../../../src/enos/signature.ts'
import { Timestamps } from '../../../src/enos/timestamps.ts'
import { type CallResult, type RefreshRequest, TokenClient } from '../../../src/enos/token-client.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { marker, minuteMs, now } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'

interface Asked {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: { readonly appKey: string; readonly timestamp: number; readonly [field: string]: unknown }
}

/** With a token to refresh, the call is a refresh; without, a get. */
type Overrides = Partial<Omit<RefreshRequest, 'operation'>>
type Answer = (response: ServerResponse, count: number) => void

const path = '/apim-token-service/v2.0/token/'
const token = { status: 0, data: { accessToken: marker.token, expire: 7200 } }

/** An answer of JSON. */
function json(value: unknown, status = 200, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value))
  }
}

/** A gateway with scripted answers, and a client. Time stands still unless the test advances it. */
async function setUp(answer: Answer, host = '127.0.0.1', onChoice: (tls: GatewayTls) => void = () => undefined) {
  const asked: Asked[] = []
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => (text += chunk.toString()))
    request.on('end', () => {
      const { headers, method = '', url = '' } = request
      answer(response, asked.push({ method, url, headers, body: JSON.parse(text) as Asked['body'] }))
    })
  })
  server.on('connection', (socket) => sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const dispatchers = new GatewayDispatchers({
    proxy: { httpProxy: undefined, httpsProxy: undefined, noProxy: undefined },
  })
  onTestFinished(async () => {
    await dispatchers.close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const clock = new FakeClock(now)
  const observer = { onCall: vi.fn(), onClockSkew: vi.fn() }
  const timestamps = new Timestamps(clock)
  const chooser = {
    for: (tls: GatewayTls, timeoutMs: number) => {
      onChoice(tls)
      return dispatchers.for(tls, timeoutMs)
    },
  }
  const client = new TokenClient({ dispatchers: chooser, clock, timestamps, observer, userAgent: 'unit-test/1' })
  const authority = `${host === '::1' ? '[::1]' : host}:${(server.address() as AddressInfo).port}`
  const call = (
    { token, ...overrides }: Overrides = {},
    signal = new AbortController().signal,
  ): Promise<CallResult> => {
    const keys = { appKey: new Sensitive(marker.appKey), appSecret: new Sensitive(marker.appSecret) }
    const base = { gatewayUrl: `http://${authority}`, ...keys, timeoutMs: 10_000, ...overrides }
    return client.call(
      token === undefined ? { ...base, operation: 'get' } : { ...base, operation: 'refresh', token },
      signal,
    )
  }
  return { asked, authority, call, clock, observer }
}

/** Advances the clock until the result is there: a call waits for an unused timestamp. */
async function pass<T>(clock: FakeClock, result: Promise<T>): Promise<T> {
  let isDone = false
  const done = result.finally(() => (isDone = true))
  while (!isDone) await clock.advance(1)
  return await done
}

const refresh = { token: new Sensitive('the-old-token') }
const failureOf = (result: CallResult) => ('failure' in result ? result.failure : undefined)

describe('TokenClient.call', () => {
  it('makes a signed POST for get, and returns the token', async () => {
    const { asked, authority, call, clock, observer } = await setUp(json(token))
    const result = await call()
    expect(result).toEqual({
      kind: 'token',
      token: new Sensitive(marker.token),
      expireMs: 7_200_000,
      sentAt: clock.now(),
    })
    expect(result.kind === 'token' && result.token.reveal()).toBe(marker.token)
    const [{ body, headers, method, url } = {}] = asked
    expect({ method, url }).toEqual({ method: 'POST', url: `${path}get` })
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'user-agent': 'unit-test/1' })
    expect(body).toEqual({
      appKey: marker.appKey,
      timestamp: now,
      encryption: signRequest(new Sensitive(marker.appKey), now, new Sensitive(marker.appSecret)),
    })
    expect(observer.onCall).toHaveBeenCalledExactlyOnceWith(authority, 'get', '0', 0)
  })

  it('sends the token to refresh', async () => {
    const { asked, authority, call, observer } = await setUp(json(token))
    expect(await call(refresh)).toMatchObject({ kind: 'token' })
    expect(asked[0]).toMatchObject({ url: `${path}refresh`, body: { accessToken: 'the-old-token' } })
    expect(observer.onCall).toHaveBeenCalledExactlyOnceWith(authority, 'refresh', '0', 0)
  })

  it('carries additional headers, and shows none of their values', async () => {
    const { asked, call } = await setUp(json({ status: 1002 }))
    const result = await call({
      headers: [
        ['Ocp-Apim-Subscription-Key', new Sensitive('marker-header')],
        ['User-Agent', new Sensitive('marker-agent')],
      ],
    })
    expect(asked[0]?.headers).toMatchObject({
      'ocp-apim-subscription-key': 'marker-header',
      'user-agent': 'marker-agent',
      'content-type': 'application/json',
    })
    expect(JSON.stringify(result)).not.toContain('marker')
  })

  it('fails, and shows no value, where a header cannot be sent', async () => {
    const { asked, call } = await setUp(json(token))
    const result = await call({ headers: [['X-Key', new Sensitive('marker\r\nX-Other: 1')]] })
    expect(result).toMatchObject({ kind: 'failed', failure: { cause: 'UND_ERR_INVALID_ARG' } })
    expect(JSON.stringify(result)).not.toContain('marker')
    expect(asked).toEqual([])
  })

  it('asks for the dispatcher of its CA and tlsServerName', async () => {
    const chosen: unknown[] = []
    const { call } = await setUp(json(token), '127.0.0.1', (tls) => void chosen.push(tls))
    await call({ tlsServerName: 'apim' })
    expect(chosen).toEqual([{ ca: undefined, tlsServerName: 'apim' }])
  })

  it('keeps the base path of the gateway', async () => {
    const { asked, authority, call } = await setUp(json(token))
    await call({ gatewayUrl: `http://${authority}/base/a%20b` })
    expect(asked[0]?.url).toBe(`/base/a%20b${path}get`)
  })

  it('reaches a gateway by its IPv6 address', async () => {
    const { asked, authority, call } = await setUp(json(token), '::1')
    expect(await call()).toMatchObject({ kind: 'token' })
    expect(asked[0]?.headers.host).toBe(authority)
  })
})

describe('a repeated request (1001)', () => {
  it('is made again at once, with another timestamp', async () => {
    const { asked, call, clock, observer } = await setUp((response, count) => {
      json(count < 3 ? { status: 1001 } : token)(response, count)
    })
    expect(await pass(clock, call())).toMatchObject({ kind: 'token' })
    const timestamps = asked.map(({ body }) => body.timestamp)
    expect(timestamps).toEqual([...new Set(timestamps)].sort((a, b) => a - b))
    expect(timestamps.at(-1)).toBeLessThanOrEqual(clock.now())
    expect(new Set(asked.map(({ body }) => body['encryption'])).size).toBe(3)
    expect(observer.onCall.mock.calls.map((call: unknown[]) => call[2])).toEqual(['1001', '1001', '0'])
  })

  it('fails after three', async () => {
    const { asked, call, clock } = await setUp(json({ status: 1001 }))
    expect(await pass(clock, call())).toMatchObject({
      kind: 'failed',
      failure: { class: 'retry', reason: 'GatewayRejected' },
    })
    expect(asked).toHaveLength(3)
  })

  it('ends at the deadline of the call', async () => {
    const { asked, call, clock } = await setUp((response, count) => {
      if (count === 1) {
        void clock.advance(9000).then(() => {
          json({ status: 1001 })(response, count)
        })
      } else {
        void clock.advance(1000)
      }
    })
    expect(failureOf(await call())).toMatchObject({ reason: 'GatewayUnreachable', cause: 'timed out' })
    expect(asked).toHaveLength(2)
    expect(clock.now()).toBe(now + 10_000)
  })
})

describe('the status in the body', () => {
  it.each([
    [1002, 'get', { kind: 'failed', failure: { class: 'userMustAct', reason: 'AppKeyNotFound' } }],
    [1003, 'get', { kind: 'failed', failure: { class: 'userMustAct', reason: 'InvalidAppSecret' } }],
    [1004, 'get', { kind: 'failed', failure: { class: 'userMustAct', reason: 'GatewayRejected' } }],
    [1005, 'get', { kind: 'failed', failure: { class: 'retry', reason: 'GatewayError' } }],
    [1202, 'get', { kind: 'failed', failure: { class: 'userMustAct', reason: 'GatewayRejected' } }],
    [1203, 'refresh', { kind: 'getAgain', failure: { reason: 'GatewayError' } }],
    [1204, 'refresh', { kind: 'getAgain', failure: { reason: 'GatewayError' } }],
    [1203, 'get', { kind: 'failed', failure: { class: 'retry' } }],
  ])('%i to %s', async (status, operation, expected) => {
    for (const httpStatus of [200, 400, 401, 500]) {
      const { authority, call, observer } = await setUp(json({ status, msg: 'a secret of the gateway' }, httpStatus))
      const result = await call(operation === 'refresh' ? refresh : {})
      expect(result).toMatchObject(expected)
      expect(failureOf(result)?.message).toContain(`answered ${status}: `)
      expect(JSON.stringify(result)).not.toContain('a secret of the gateway')
      expect(observer.onCall).toHaveBeenCalledExactlyOnceWith(authority, operation, String(status), 0)
    }
  })

  it('that is undocumented is retried, and is no label of a metric', async () => {
    const { authority, call, observer } = await setUp(json({ status: 4711 }))
    expect(failureOf(await call())).toMatchObject({ class: 'retry', reason: 'UnexpectedReply' })
    expect(observer.onCall).toHaveBeenCalledExactlyOnceWith(authority, 'get', 'unexpected', 0)
  })

  it.each([
    ['no JSON', (response: ServerResponse) => void response.end('<html>marker-page</html>')],
    ['no status', json({ hello: 'marker-page' })],
    ['no token', json({ status: 0, data: { accessToken: '', expire: 7200 } })],
    ['no life', json({ status: 0, data: { accessToken: marker.token, expire: -1 } })],
  ])('a reply with %s is unexpected, and nothing of it is repeated', async (_, answer) => {
    const { authority, call, observer } = await setUp(answer)
    const result = await call()
    expect(failureOf(result)).toMatchObject({ class: 'retry', reason: 'UnexpectedReply' })
    expect(JSON.stringify(result)).not.toMatch(/marker-/)
    expect(observer.onCall).toHaveBeenCalledExactlyOnceWith(authority, 'get', 'unexpected', 0)
  })
})

describe('an HTTP status without a status of the token service', () => {
  it.each([
    [301, 'userMustAct', 'UnexpectedReply', 'redirects are not followed'],
    [307, 'userMustAct', 'UnexpectedReply', 'redirects are not followed'],
    [400, 'userMustAct', 'GatewayRejected', 'refused before it reached the token service'],
    [401, 'userMustAct', 'GatewayRejected', 'refused before it reached the token service'],
    [403, 'userMustAct', 'GatewayRejected', 'refused before it reached the token service'],
    [404, 'userMustAct', 'UnexpectedReply', 'no token service there'],
    [429, 'retry', 'GatewayError', 'HTTP 429'],
    [500, 'retry', 'GatewayError', 'HTTP 500'],
    [503, 'retry', 'GatewayError', 'HTTP 503'],
  ])('%i', async (status, failureClass, reason, says) => {
    for (const body of [{}, { status }, token]) {
      const { authority, call, observer } = await setUp(json(body, status))
      const failure = failureOf(await call())
      expect(failure).toMatchObject({ class: failureClass, reason })
      expect(failure?.message).toContain(says)
      expect(observer.onCall).toHaveBeenCalledExactlyOnceWith(authority, 'get', `http_${status}`, 0)
    }
  })

  it('of 404 to refresh means that there is no refresh', async () => {
    const { call } = await setUp(json({ status: 404, error: 'Not Found' }, 404))
    expect(await call(refresh)).toEqual({ kind: 'refreshMissing' })
  })

  it('of a redirect is not followed', async () => {
    const elsewhere = await setUp(json(token))
    const { asked, call } = await setUp(json({}, 308, { location: `http://${elsewhere.authority}${path}get` }))
    expect(await call()).toMatchObject({ kind: 'failed' })
    expect([asked.length, elsewhere.asked.length]).toEqual([1, 0])
  })
})

describe('Retry-After', () => {
  it.each([
    ['seconds', '30', 30_000],
    ['a date', new Date(now + minuteMs).toUTCString(), minuteMs],
    ['a date that is past', new Date(now - minuteMs).toUTCString(), undefined],
    ['0', '0', undefined],
    ['nonsense', 'soon', undefined],
  ])('in %s is told', async (_, value, retryAfterMs) => {
    for (const [body, status] of [
      [{}, 503],
      [{ status: 1005 }, 200],
    ] as const) {
      const { call } = await setUp(json(body, status, { 'retry-after': value }))
      expect(failureOf(await call())?.retryAfterMs).toBe(retryAfterMs)
    }
  })
})

describe('the Date header', () => {
  it.each([
    ['of a clock that is ahead', new Date(now + minuteMs).toUTCString(), minuteMs + 500],
    ['of one that is behind', new Date(now - minuteMs).toUTCString(), -minuteMs + 500],
  ])('%s gives the skew', async (_, date, skewMs) => {
    const { authority, call, observer } = await setUp(json(token, 200, { date }))
    await call()
    expect(observer.onClockSkew).toHaveBeenCalledExactlyOnceWith(authority, skewMs)
  })

  it('that cannot be parsed gives no skew', async () => {
    const { call, observer } = await setUp(json(token, 200, { date: 'yesterday' }))
    expect(await call()).toMatchObject({ kind: 'token' })
    expect(observer.onClockSkew).not.toHaveBeenCalled()
  })
})

describe('the size of a reply', () => {
  it('of 64 KiB is read', async () => {
    const rest = JSON.stringify({ ...token, padding: '' }).length
    const { call } = await setUp(json({ ...token, padding: 'x'.repeat(64 * 1024 - rest) }))
    expect(await call()).toMatchObject({ kind: 'token' })
  })

  it('of one byte more is refused', async () => {
    const rest = JSON.stringify({ ...token, padding: '' }).length
    const { authority, call, observer } = await setUp(json({ ...token, padding: 'x'.repeat(64 * 1024 - rest + 1) }))
    expect(failureOf(await call())).toMatchObject({
      class: 'retry',
      reason: 'UnexpectedReply',
      message: `get at http://${authority}: the body is larger than 65536 bytes`,
    })
    expect(observer.onCall).toHaveBeenCalledExactlyOnceWith(authority, 'get', 'unexpected', 0)
  })

  it('is bounded also without an end', async () => {
    const { call } = await setUp((response) => {
      const pour = (): void => {
        while (!response.destroyed && response.write('x'.repeat(64 * 1024)));
        response.once('drain', pour)
      }
      pour()
    })
    expect(failureOf(await call())?.message).toContain('larger than')
  })
})

describe('a call without an answer', () => {
  const unreachable = { class: 'retry', reason: 'GatewayUnreachable' }

  it('ends at the deadline', async () => {
    const { authority, call, clock, observer } = await setUp(() => void clock.advance(10_000))
    expect(failureOf(await call())).toEqual({
      ...unreachable,
      cause: 'timed out',
      isCallerSide: false,
      message: `cannot reach http://${authority}: timed out`,
    })
    expect(observer.onCall).toHaveBeenCalledExactlyOnceWith(authority, 'get', 'error', 10_000)
  })

  it('is a caller-side failure when the deadline was short', async () => {
    const { call, clock } = await setUp(() => void clock.advance(4999))
    expect(failureOf(await call({ timeoutMs: 4999 }))).toMatchObject({ cause: 'timed out', isCallerSide: true })
  })

  it('ends at the deadline while the body is read', async () => {
    const { call, clock } = await setUp((response) => {
      response.writeHead(200).write('{"status":')
      void clock.advance(10_000)
    })
    expect(failureOf(await call())).toMatchObject({ ...unreachable, cause: 'timed out' })
  })

  it('ends with a stop, before and while it is made', async () => {
    const stop = new AbortController()
    const { asked, call, clock } = await setUp(() => {
      stop.abort()
    })
    expect(failureOf(await call({}, stop.signal))).toMatchObject({ ...unreachable, cause: 'stopped' })
    expect(failureOf(await call({}, stop.signal))).toMatchObject({ ...unreachable, cause: 'stopped' })
    expect(asked).toHaveLength(1)
    expect(clock.pendingTimers).toBe(0)
  })

  it('reports the code of the error', async () => {
    const { call, clock } = await setUp((response) => response.destroy())
    expect(failureOf(await call())).toMatchObject({ ...unreachable, cause: 'UND_ERR_SOCKET' })
    const refused = failureOf(await pass(clock, call({ gatewayUrl: 'http://127.0.0.1:1' })))
    expect(refused).toMatchObject({ ...unreachable, cause: 'ECONNREFUSED' })
    expect(refused?.message).toBe('cannot reach http://127.0.0.1:1: connection refused (ECONNREFUSED)')
    const linkLocal = failureOf(await pass(clock, call({ gatewayUrl: 'http://169.254.169.254' })))
    expect(linkLocal).toMatchObject({ ...unreachable, cause: 'LINK_LOCAL_ADDRESS_REFUSED' })
    expect(linkLocal?.message).toContain(': link-local addresses are refused (LINK_LOCAL_ADDRESS_REFUSED)')
  })
})

it('TokenClient never prints a secret in a result', async () => {
  for (const answer of [json(token), json({ status: 1003 }), json({ secret: marker.token }, 500)]) {
    const { call, clock } = await setUp(answer)
    expect(JSON.stringify([await call(), await pass(clock, call(refresh))])).not.toMatch(/marker-|the-old-token/)
  }
})
