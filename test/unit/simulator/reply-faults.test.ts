import { connect } from 'node:net'
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Fault, faultKinds } from '../../../simulator/faults.ts'
import { type Simulator, startSimulator } from '../../../simulator/server.ts'
import { type Envelope, signed, TestClient, tokenOf } from './support.ts'

const keys = { appKey: 'key-1', appSecret: 'secret-1' }
let simulator: Simulator
let client: TestClient

beforeEach(async () => {
  simulator = await startSimulator({ applications: [keys] })
  client = new TestClient(() => simulator.url, keys)
})

afterEach(() => simulator.close())

/** All bytes of the answer to a get, as they come over the connection. */
function getRaw(): Promise<Buffer> {
  const { hostname, port } = new URL(simulator.url)
  const body = JSON.stringify(signed('key-1', 'secret-1', Date.now()))
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(Number(port), hostname)
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', reject)
    socket.on('close', () => {
      resolve(Buffer.concat(chunks))
    })
    const head = `POST /apim-token-service/v2.0/token/get HTTP/1.1\r\nhost: ${hostname}\r\nconnection: close\r\n`
    socket.write(`${head}content-length: ${body.length}\r\n\r\n${body}`)
  })
}

function strike(fault: Fault, operation?: 'get' | 'refresh'): void {
  simulator.setFaults([{ fault, ...(operation === undefined ? {} : { operation }) }])
}

/** Head and body of an answer. */
function split(bytes: Buffer): [head: string, body: Buffer] {
  const at = bytes.indexOf('\r\n\r\n')
  return [bytes.subarray(0, at).toString(), bytes.subarray(at + 4)]
}

describe('a fault of the reply', () => {
  it.each([
    ['gzip', gunzipSync],
    ['deflate', inflateSync],
    ['br', brotliDecompressSync],
  ] as const)('compress: answers in %s though the request does not accept it', async (encoding, decompress) => {
    strike({ kind: 'compress', encoding })
    const [head, body] = split(await getRaw())
    expect(head).toContain(`content-encoding: ${encoding}`)
    expect(head).toContain(`content-length: ${body.length}`)
    expect((JSON.parse(decompress(body).toString()) as Envelope).status).toBe(0)
  })

  it('compress: answers a small body that unpacks to the given size', async () => {
    const bytes = 10 * 1024 * 1024
    strike({ kind: 'compress', encoding: 'gzip', bytes })
    const [, body] = split(await getRaw())
    expect(body.length).toBeLessThan(bytes / 500)
    expect(gunzipSync(body)).toHaveLength(bytes)
  })

  it('byteOrderMark: answers the right JSON after a byte-order mark', async () => {
    strike({ kind: 'byteOrderMark' })
    const [, body] = split(await getRaw())
    expect(body.subarray(0, 3)).toEqual(Buffer.from([0xef, 0xbb, 0xbf]))
    expect((JSON.parse(body.subarray(3).toString()) as Envelope).status).toBe(0)
  })

  it('strings: answers status and expire as strings', async () => {
    strike({ kind: 'strings' })
    const reply = await client.get()
    const accessToken = simulator.service.currentToken('key-1')
    expect(reply).toMatchObject({ status: '0', data: { accessToken, expire: '7200' } })
    expect(await client.refresh('unknown')).toMatchObject({ status: '1203', data: null })
    expect(simulator.calls.map(({ status }) => status)).toEqual([0, 1203])
  })

  it('continue: answers 100 Continue and then the right answer', async () => {
    strike({ kind: 'continue' })
    const [interim, rest] = split(await getRaw())
    expect(interim).toBe('HTTP/1.1 100 Continue')
    const [head, body] = split(rest)
    expect(head).toMatch(/^HTTP\/1\.1 200 OK/)
    expect((JSON.parse(body.toString()) as Envelope).status).toBe(0)
  })

  it('http10: answers in HTTP/1.0 and ends the body with the connection', async () => {
    strike({ kind: 'http10' })
    const [head, body] = split(await getRaw())
    expect(head).toMatch(/^HTTP\/1\.0 200 OK\r\n/)
    expect(head).not.toMatch(/content-length|transfer-encoding/i)
    expect((JSON.parse(body.toString()) as Envelope).status).toBe(0)
    expect(tokenOf(await client.get())).toBe(simulator.service.currentToken('key-1'))
  })

  it('notHttp: answers bytes that are not HTTP, and the token service issues no token', async () => {
    strike({ kind: 'notHttp' })
    expect((await getRaw()).toString()).toBe('SSH-2.0-OpenSSH_9.6\r\n')
    strike({ kind: 'notHttp', text: 'other' })
    expect((await getRaw()).toString()).toBe('other')
    expect(simulator.service.currentToken('key-1')).toBeUndefined()
  })

  it.each([
    [{ code: 99401 }, undefined],
    [{ apim_status: 4011 }, undefined],
    [{ message: 'no Route matched' }, 404],
    [{ status: 404 }, undefined],
    [null, undefined],
  ])('json: answers %j of a proxy with HTTP %s, 200 by default', async (json, status) => {
    strike({ kind: 'json', json, ...(status === undefined ? {} : { status }) })
    const reply = await client.post('get')
    expect([reply.status, await reply.json()]).toEqual([status ?? 200, json])
    expect(simulator.calls[0]).toMatchObject({ status: undefined, fault: 'json' })
  })

  it.each([1002, 1003, 1004, 1202])(
    'status: refuses a refresh with %d right after a get that works',
    async (status) => {
      strike({ kind: 'status', status }, 'refresh')
      const token = tokenOf(await client.get())
      expect((await client.refresh(token)).status).toBe(status)
      expect((await client.get()).data?.accessToken).toBe(token)
    },
  )

  it('noProlong: answers a refresh with the same token and expiry, and leaves get alone', async () => {
    strike({ kind: 'noProlong' })
    const token = tokenOf(await client.get())
    const expiresAt = simulator.service.expiresAt(token)
    const reply = await client.refresh(token)
    expect([reply.status, tokenOf(reply)]).toEqual([0, token])
    expect(simulator.service.expiresAt(token)).toBe(expiresAt)
    expect(simulator.calls.map(({ fault }) => fault)).toEqual(['noProlong', 'noProlong'])
  })
})

describe('faultKinds', () => {
  it('lists each kind of fault once', () => {
    expect(faultKinds).toContain('noProlong')
    expect(new Set(faultKinds).size).toBe(faultKinds.length)
  })
})
