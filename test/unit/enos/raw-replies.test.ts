import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Failure } from '../../../src/enos/failure.ts'
import { GatewayDispatchers } from '../../../src/enos/gateway-dispatchers.ts'
import { Timestamps } from '../../../src/enos/timestamps.ts'
import { type CallResult, httpCode, TokenClient } from '../../../src/enos/token-client.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { marker, now } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const good = JSON.stringify({ status: 0, data: { accessToken: marker.token, expire: 7200 } })

interface Called {
  readonly result: CallResult
  readonly code: unknown
  readonly host: string
  readonly failure: Failure | undefined
}

/** One call to a server that sends these bytes once it has the whole request, and ends the connection if told to. */
async function callRaw(operation: 'get' | 'refresh', answer: Buffer | string, isEnded = false): Promise<Called> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    let received = ''
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      received += chunk.toString()
      if (!received.endsWith('}')) return
      socket.write(answer)
      if (isEnded) socket.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
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
  const client = new TokenClient({ dispatchers, clock, timestamps, observer, userAgent: 'unit-test/1' })
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const base = {
    gatewayUrl: `http://${host}`,
    appKey: new Sensitive(marker.appKey),
    appSecret: new Sensitive(marker.appSecret),
    timeoutMs: 10_000,
  }
  const { signal } = new AbortController()
  const token = new Sensitive('the-old-token')
  const result = await client.call(operation === 'get' ? { ...base, operation } : { ...base, operation, token }, signal)
  expect(JSON.stringify(result)).not.toContain('marker')
  const [, , code] = observer.onCall.mock.calls[0] as unknown[]
  return { result, code, host, failure: 'failure' in result ? result.failure : undefined }
}

/** An HTTP response with a body of known length. */
function response(body: Buffer | string, { status = 200, headers = '' } = {}): Buffer {
  const bytes = Buffer.from(body)
  const head = `HTTP/1.1 ${status} Whatever\r\ncontent-length: ${bytes.length}\r\n${headers}\r\n`
  return Buffer.concat([Buffer.from(head), bytes])
}

function packed(body: Buffer, encoding: string): Buffer {
  return response(body, { headers: `content-encoding: ${encoding}\r\n` })
}

describe('a reply that was packed unasked', () => {
  it.each([
    ['gzip', packed(gzipSync(good), 'gzip')],
    ['gzip under its old name', packed(gzipSync(good), 'x-gzip')],
    ['gzip in capitals', packed(gzipSync(good), 'GZIP')],
    ['deflate', packed(deflateSync(good), 'deflate')],
    ['deflate without its header', packed(deflateRawSync(good), 'deflate')],
    ['brotli', packed(brotliCompressSync(good), 'br')],
    ['gzip upon deflate', packed(gzipSync(deflateSync(good)), 'deflate, gzip')],
    ['nothing, by name', packed(Buffer.from(good), 'identity')],
  ])('with %s is unpacked', async (_, answer) => {
    const { code, result } = await callRaw('get', answer)
    expect(result).toMatchObject({ kind: 'token', expireMs: 7_200_000 })
    expect(code).toBe('0')
  })

  const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024, ' '))

  it.each([
    [
      'into more than 64 KiB',
      packed(gzipSync(Buffer.alloc(65_537, ' ')), 'gzip'),
      'the body is larger than 65536 bytes',
    ],
    ['as a bomb', packed(bomb, 'gzip'), 'the body is larger than 65536 bytes'],
    ['badly', packed(Buffer.from(good), 'gzip'), 'the body is not valid gzip'],
    ['and cut off', packed(gzipSync(good).subarray(0, 30), 'gzip'), 'the body is not valid gzip'],
    ['as nothing at all', packed(Buffer.alloc(0), 'deflate'), 'the body is not valid deflate'],
    ['unknown', packed(Buffer.from(good), 'marker'), 'the content encoding is not one of gzip, deflate, br'],
    ['in three ways', packed(Buffer.from(good), 'gzip, br, gzip'), 'the body has more than 2 content encodings'],
  ])('%s is a telling error', async (_, answer, problem) => {
    const { code, failure, host } = await callRaw('get', answer)
    expect(failure).toMatchObject({
      class: 'retry',
      reason: 'UnexpectedReply',
      message: `get at http://${host}: ${problem}`,
    })
    expect(code).toBe('unexpected')
  })
})

describe('a reply of an odd server', () => {
  it('in HTTP/1.0, ended by the end of the connection, is read', async () => {
    const { result } = await callRaw('get', `HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n${good}`, true)
    expect(result).toMatchObject({ kind: 'token' })
  })

  it('in HTTP/1.0 with a length is read', async () => {
    const { result } = await callRaw('get', `HTTP/1.0 200 OK\r\ncontent-length: ${good.length}\r\n\r\n${good}`)
    expect(result).toMatchObject({ kind: 'token' })
  })

  it('in chunks is read', async () => {
    const chunk = `${good.length.toString(16)}\r\n${good}\r\n0\r\n\r\n`
    const { result } = await callRaw('get', `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunk}`)
    expect(result).toMatchObject({ kind: 'token' })
  })

  it('after 102 Processing and 103 Early Hints is read', async () => {
    const interim = 'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'
    expect((await callRaw('get', interim + response(good).toString())).result).toMatchObject({ kind: 'token' })
  })

  it('with 100 Continue, which was not asked for, is a telling error', async () => {
    const answer = `HTTP/1.1 100 Continue\r\n\r\n${response(good).toString()}`
    const { code, failure, host } = await callRaw('get', answer)
    expect(failure).toMatchObject({ class: 'retry', reason: 'UnexpectedReply' })
    expect(failure?.message).toBe(
      `get at http://${host}: the server answered 100 Continue, which the request does not ask for`,
    )
    expect(code).toBe('unexpected')
  })

  it.each([
    ['text', 'marker: hello, this is no web server\r\n\r\n'],
    ['a TLS alert', Buffer.from('15030300020250', 'hex')],
    ['an SSH greeting', 'SSH-2.0-OpenSSH_9.9\r\n'],
    ['headers with a NUL', 'HTTP/1.1 200 OK\r\nx: a\0marker\r\n\r\n'],
    ['two lengths', `HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n${good}`],
    ['a broken chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nmarker\r\n'],
  ])('that is no valid HTTP (%s) is told as such', async (_, answer) => {
    const { code, failure, host } = await callRaw('get', answer, true)
    expect(failure).toMatchObject({ class: 'retry', reason: 'UnexpectedReply' })
    expect(failure?.message).toMatch(
      new RegExp(`^get at http://${host}: the answer is not valid HTTP \\([A-Za-z ,/-]+\\)$`),
    )
    expect(code).toBe('unexpected')
  })

  it('with headers without end is a telling error', async () => {
    const answer = `HTTP/1.1 200 OK\r\nx: ${'marker'.repeat(10_000)}\r\n\r\n${good}`
    expect((await callRaw('get', answer)).failure).toMatchObject({ reason: 'UnexpectedReply' })
  })

  it('with a byte-order mark is read', async () => {
    expect((await callRaw('get', response(`\uFEFF${good}`))).result).toMatchObject({ kind: 'token' })
  })
})

describe('a reply of a server before the token service', () => {
  const noReply = 'no reply of the token service'

  it.each([
    ['{"code":99401,"msg":"marker"}', `${noReply}, but "code" 99401: expected a whole number in "status"`],
    ['{"code":"99401"}', `${noReply}, but "code" 99401: expected a whole number in "status"`],
    ['{"apim_status":4011}', `${noReply}, but "apim_status" 4011: expected a whole number in "status"`],
    ['{"status":"marker","code":7}', `${noReply}, but "code" 7: expected a whole number in "status"`],
    ['{"code":1e300}', `${noReply}: expected an object with a whole number in "status"`],
    ['{"message":"no Route matched"}', `${noReply}: expected an object with a whole number in "status"`],
  ])('%s tells its number, or that it is none of the service', async (body, problem) => {
    const { code, failure, host } = await callRaw('get', response(body))
    expect(failure).toMatchObject({
      class: 'retry',
      reason: 'UnexpectedReply',
      message: `get at http://${host}: ${problem}`,
    })
    expect(code).toBe('unexpected')
  })

  it('tells its number beside the HTTP status', async () => {
    const { code, failure, host } = await callRaw('get', response('{"code":99401}', { status: 401 }))
    expect(failure).toMatchObject({ class: 'userMustAct', reason: 'GatewayRejected' })
    expect(failure?.message).toContain(`get at http://${host}: HTTP 401, "code" 99401: the request was refused`)
    expect(code).toBe('http_401')
  })
})

describe('a gateway without refresh', () => {
  const bodies: [string, Buffer][] = [
    ['HTTP 404', response('{}', { status: 404 })],
    ['HTTP 405', response('{}', { status: 405 })],
    ['404 in the body', response('{"status":404}')],
    ['404 as text in the body', response('{"status":"404","error":"Not Found"}')],
    ['405 in the body', response('{"status":405}')],
    ['code 404 in the body', response('{"code":404,"message":"not found"}')],
  ]

  it.each(bodies)('is known by %s to refresh', async (_, answer) => {
    expect((await callRaw('refresh', answer)).result).toEqual({ kind: 'refreshMissing' })
  })

  it.each(bodies)('is not known by %s to get', async (_, answer) => {
    expect((await callRaw('get', answer)).result).toMatchObject({ kind: 'failed' })
  })
})

describe('the code of an HTTP error', () => {
  it('is one of a bounded set, whatever the gateway answers', async () => {
    const codes = new Set(Array.from({ length: 1000 }, (_, status) => httpCode(status)))
    expect(codes.size).toBeLessThanOrEqual(24)
    expect([503, 599, 418, 999, 0].map(httpCode)).toEqual([
      'http_503',
      'http_5xx',
      'http_4xx',
      'http_other',
      'http_other',
    ])
    for (const [status, expected] of [
      [418, 'http_4xx'],
      [599, 'http_5xx'],
      [777, 'http_other'],
    ] as const) {
      expect((await callRaw('get', response('{}', { status }))).code).toBe(expected)
    }
  })
})
