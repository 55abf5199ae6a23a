import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Routes, startHttpServer } from '../../../src/telemetry/http-server.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { readableLog } from '../enos/support.ts'

const utf8 = new TextEncoder()

/** Sends GET /metrics by a connection of its own, and reads nothing. */
async function begin(port: number, headers = ''): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.pause()
  await once(socket, 'connect')
  socket.write(`GET /metrics HTTP/1.1\r\nHost: a\r\n${headers}\r\n`)
  return socket
}

async function setUp(routes: Routes) {
  const { lines, log } = readableLog()
  const clock = new FakeClock()
  const server = await startHttpServer({ address: { host: '127.0.0.1', port: 0 }, routes, clock, log })
  onTestFinished(() => server.close())
  const get = async (path: string, method = 'GET'): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method })
    return `${response.status} ${await response.text()}`
  }
  return {
    clock,
    get,
    port: server.port,
    logged: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
  }
}

describe('HTTP server', () => {
  it('answers GET and HEAD on its routes, whatever the query, and 404 elsewhere', async () => {
    const { get, logged } = await setUp({ '/metrics': () => ({ status: 200, body: 'up 1\n' }) })
    expect(await get('/metrics?name[]=up')).toBe('200 up 1\n')
    expect(await get('/metrics', 'HEAD')).toBe('200 ')
    expect(await get('/metrics', 'POST')).toBe('404 not found\n')
    expect(await get('/other')).toBe('404 not found\n')
    expect(logged()).toEqual([])
  })

  it('answers 500 without the error when a route throws, and logs route and error', async () => {
    const { get, logged } = await setUp({ '/metrics': () => Promise.reject(new TypeError('no such series')) })
    expect(await get('/metrics')).toBe('500 internal error\n')
    expect(logged()).toMatchObject([
      { level: 'error', msg: 'route failed', route: '/metrics', err: { type: 'TypeError', message: 'no such series' } },
    ])
  })

  it('logs a failing route once, not at each request, and again after it has worked or failed otherwise', async () => {
    let failure: Error | undefined = new Error('first')
    const { get, logged } = await setUp({
      '/metrics': () => {
        if (failure !== undefined) throw failure
        return { status: 200, body: '' }
      },
    })
    const messages = (): unknown[] => logged().map(({ err }) => (err as Error).message)
    for (let i = 0; i < 3; i++) expect(await get('/metrics')).toBe('500 internal error\n')
    expect(messages()).toEqual(['first'])
    failure = new Error('second')
    await get('/metrics')
    failure = undefined
    expect(await get('/metrics')).toBe('200 ')
    failure = new Error('second')
    await get('/metrics')
    expect(messages()).toEqual(['first', 'second', 'second'])
  })

  it.each([
    ['gzip, deflate', 'gzip'],
    ['deflate, GZIP;q=0.5', 'gzip'],
    ['gzip;q=0', null],
    ['gzip;q=0.0, identity', null],
    ['x-gzip-like', null],
    ['', null],
  ])('compresses pieces for Accept-Encoding %j with %s', async (accepted, encoding) => {
    const { port } = await setUp({
      '/metrics': () => ({ status: 200, body: ['up 1\n', 'down 0\n'].map((piece) => utf8.encode(piece)) }),
    })
    const headers = { 'accept-encoding': accepted }
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, { headers })
    expect(response.headers.get('content-encoding')).toBe(encoding)
    expect(response.headers.get('vary')).toBe('accept-encoding')
    // fetch decompresses.
    expect(await response.text()).toBe('up 1\ndown 0\n')
    const head = await fetch(`http://127.0.0.1:${port}/metrics`, { headers, method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
  })

  it('lets other work go on between two pieces', async () => {
    const order: string[] = []
    function* body(): Generator<Uint8Array> {
      for (const piece of ['a', 'b', 'c']) {
        setImmediate(() => void order.push(`after ${piece}`))
        order.push(piece)
        yield utf8.encode(piece)
      }
    }
    const { get } = await setUp({ '/metrics': () => ({ status: 200, body: body() }) })
    expect(await get('/metrics')).toBe('200 abc')
    expect(order).toEqual(['a', 'after a', 'b', 'after b', 'c', 'after c'])
  })

  it.each(['identity', 'gzip'])('asks for the next piece once the one before is used (%s)', async (encoding) => {
    const pieces = 64
    const buffer = Buffer.alloc(256 * 1024)
    function* body(): Generator<Uint8Array> {
      for (let piece = 0; piece < pieces; piece++) yield buffer.fill(piece)
      buffer.fill(pieces)
    }
    const { port } = await setUp({ '/metrics': () => ({ status: 200, body: body() }) })
    const url = `http://127.0.0.1:${port}/metrics`
    const response = await fetch(url, { headers: { 'accept-encoding': encoding } })
    expect(response.headers.get('content-encoding')).toBe(encoding === 'gzip' ? 'gzip' : null)
    // Until the buffers of the kernel are full.
    await delay(100)
    const received = Buffer.from(await response.arrayBuffer())
    expect(received).toHaveLength(pieces * buffer.length)
    for (let piece = 0; piece < pieces; piece++) {
      const [from, to] = [piece * buffer.length, (piece + 1) * buffer.length]
      expect(received.subarray(from, to).equals(buffer.fill(piece)), `piece ${piece}`).toBe(true)
    }
  })

  it.each(['identity', 'gzip'])(
    'ends the connection and logs the error when a later piece throws (%s)',
    async (encoding) => {
      function* body(): Generator<Uint8Array> {
        yield utf8.encode('up 1\n')
        throw new TypeError('no such series')
      }
      const { logged, port } = await setUp({ '/metrics': () => ({ status: 200, body: body() }) })
      const socket = await begin(port, `Accept-Encoding: ${encoding}\r\n`)
      let received = ''
      socket.on('data', (data) => (received += data.toString('latin1')))
      await once(socket.resume(), 'close')
      expect(received).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
      // The last chunk of a whole answer.
      expect(received).not.toMatch(/\r\n0\r\n\r\n$/)
      expect(logged()).toMatchObject([{ msg: 'route failed', route: '/metrics', err: { type: 'TypeError' } }])
    },
  )

  it.each(['identity', 'gzip'])('stops quietly when the client goes in the middle (%s)', async (encoding) => {
    let begun = 0
    let ended = 0
    function* endless(): Generator<Uint8Array> {
      begun++
      const piece = randomBytes(64 * 1024)
      try {
        while (true) yield piece
      } finally {
        ended++
      }
    }
    const { get, logged, port } = await setUp({
      '/metrics': () => ({ status: 200, body: endless() }),
      '/other': () => ({ status: 200, body: 'here\n' }),
    })
    // Twice as many as may be in progress, half of which read and half of which do not.
    for (let client = 1; client <= 8; client++) {
      const socket = await begin(port, `Accept-Encoding: ${encoding}\r\n`)
      if (client % 2 === 0) await once(socket.resume(), 'data')
      else await expect.poll(() => begun).toBe(client)
      socket.destroy()
      await expect.poll(() => ended).toBe(client)
    }
    expect(await get('/other')).toBe('200 here\n')
    expect(logged()).toEqual([])
  })

  it('makes no pieces ahead of a client that does not read, cuts it off after 30 s, and has four answers in progress at most', async () => {
    let made = 0
    let ended = 0
    function* endless(): Generator<Uint8Array> {
      const piece = randomBytes(64 * 1024)
      try {
        while (true) {
          made++
          yield piece
        }
      } finally {
        ended++
      }
    }
    const { clock, get, logged, port } = await setUp({
      '/metrics': () => ({ status: 200, body: endless() }),
      '/other': () => ({ status: 200, body: 'here\n' }),
    })
    const encodings = ['identity', 'identity', 'gzip', 'gzip']
    const sockets = await Promise.all(encodings.map((encoding) => begin(port, `Accept-Encoding: ${encoding}\r\n`)))
    // Until the buffers of the kernel are full.
    let before = -1
    while (before !== made || made === 0) {
      before = made
      await delay(100)
    }
    expect(made).toBeLessThan(1000)
    expect(await get('/other')).toBe('503 too many requests in progress\n')
    expect(ended).toBe(0)

    await clock.advance(30_000)
    await Promise.all(sockets.map((socket) => once(socket.resume(), 'close')))
    expect(await get('/other')).toBe('200 here\n')
    expect(ended).toBe(4)
    expect(logged()).toEqual([])
  })
})
