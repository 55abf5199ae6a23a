import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Routes, startHttpServer } from '../../../src/telemetry/http-server.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { readableLog } from '../enos/support.ts'

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
    const { port } = await setUp({ '/metrics': () => ({ status: 200, body: ['up 1\n', 'down 0\n'] }) })
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
    function* body(): Generator<string> {
      for (const piece of ['a', 'b', 'c']) {
        setImmediate(() => void order.push(`after ${piece}`))
        order.push(piece)
        yield piece
      }
    }
    const { get } = await setUp({ '/metrics': () => ({ status: 200, body: body() }) })
    expect(await get('/metrics')).toBe('200 abc')
    expect(order).toEqual(['a', 'after a', 'b', 'after b', 'c', 'after c'])
  })

  it('ends the connection and logs the error when a later piece throws', async () => {
    function* body(): Generator<string> {
      yield 'up 1\n'
      throw new TypeError('no such series')
    }
    const { get, logged } = await setUp({ '/metrics': () => ({ status: 200, body: body() }) })
    await expect(get('/metrics')).rejects.toThrow()
    expect(logged()).toMatchObject([{ msg: 'route failed', route: '/metrics', err: { type: 'TypeError' } }])
  })

  it('makes no pieces ahead of a client that does not read, cuts it off after 30 s, and has four answers in progress at most', async () => {
    let made = 0
    let ended = 0
    function* endless(): Generator<string> {
      try {
        while (true) {
          made++
          yield 'x'.repeat(64 * 1024)
        }
      } finally {
        ended++
      }
    }
    const { clock, get, logged, port } = await setUp({
      '/metrics': () => ({ status: 200, body: endless() }),
      '/other': () => ({ status: 200, body: 'here\n' }),
    })
    const sockets = await Promise.all(
      [1, 2, 3, 4].map(async () => {
        const socket = connect(port, '127.0.0.1')
        onTestFinished(() => void socket.destroy())
        socket.pause()
        await once(socket, 'connect')
        socket.write('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n')
        return socket
      }),
    )
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
