import { once } from 'node:events'
import { type Dispatcher, errors } from 'undici'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { ApiConnections } from '../../../src/kubernetes/api-connections.ts'
import { leases, secrets } from '../../../src/kubernetes/types.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { type Answer, json, type Response, setUpClient, startServer } from './local-server.ts'

/** Connections to a server of HTTP/2. A path that ends in /watch has a response without end. */
async function setUp() {
  const responses: Response[] = []
  const server = await startServer('HTTP/2', (response, { url }) => {
    if (!url.pathname.endsWith('/watch')) {
      json(response, 200, {})
    } else {
      responses.push(response)
      response.writeHead(200)
      response.write('first')
    }
  })
  const connections = new ApiConnections({
    server: server.url,
    tls: { ca: server.ca },
    proxyUrl: undefined,
    headers: {},
    allowH2: true,
    identity: 'test',
  })
  onTestFinished(() => connections.destroy())
  const get = async (dispatcher: Dispatcher, path = '/'): Promise<number> => {
    const { body, statusCode } = await dispatcher.request({ origin: server.url, path, method: 'GET' })
    await body.dump()
    return statusCode
  }
  const watch = async () => {
    const { body } = await connections.watches.request({ origin: server.url, path: '/watch', method: 'GET' })
    const chunks = body[Symbol.asyncIterator]()
    const next = async (): Promise<string> => String((await chunks.next()).value)
    expect(await next()).toBe('first')
    const response = responses.at(-1)
    return { next, respond: (text: string): void => void response?.write(text) }
  }
  return { server, connections, responses, get, watch }
}

describe('ApiConnections', () => {
  it('keeps at most one pool for calls and one for watches, however often the server sends GOAWAY', async () => {
    const { connections, get, server } = await setUp()
    for (let times = 1; times <= 20; times++) {
      expect(await get(connections.calls)).toBe(200)
      expect(await get(connections.watches)).toBe(200)
      expect(server.connections()).toBe(2 * times)
      server.goAway()
      await vi.waitFor(() => expect(server.openConnections()).toBe(0), 10_000)
    }
    expect(await get(connections.calls)).toBe(200)
    expect(connections.poolCount).toBeLessThanOrEqual(2)
  })

  it('lets an open watch go on after GOAWAY, and opens the next on another connection', async () => {
    const { connections, responses, server, watch } = await setUp()
    const first = await watch()
    const goAway = async (): Promise<void> => {
      const isSeen = once(connections.watches, 'disconnect')
      server.goAway()
      await isSeen
    }
    for (let times = 2; times <= 5; times++) {
      await goAway()
      await watch()
      expect(server.connections()).toBe(times)
    }
    first.respond('second')
    expect(await first.next()).toBe('second')
    // One for each connection with an open watch.
    expect(connections.poolCount).toBe(5)
    for (const response of responses) response.end()
    await vi.waitFor(() => expect(server.openConnections()).toBe(1), 10_000)
    await goAway()
    await watch()
    expect(connections.poolCount).toBeLessThanOrEqual(2)
  })

  it('breaks open watches 30 s after retiring', async () => {
    const { connections, watch } = await setUp()
    const { next } = await watch()
    const failed = next().catch((error: unknown) => error)
    const clock = new FakeClock()
    connections.retire(clock)
    await clock.advance(29_999)
    expect(connections.poolCount).toBe(1)
    await clock.advance(1)
    expect(await failed).toBeInstanceOf(Error)
    expect(connections.poolCount).toBe(0)
  })
})

describe('Transport', () => {
  it.each(['HTTP/1.1', 'HTTP/2'] as const)(
    'answers calls while more watches are open than calls may have connections, over %s',
    async (protocol) => {
      const answer: Answer = (response, { url }) => {
        if (!url.searchParams.has('watch')) {
          json(response, 200, { metadata: { name: 'lease' } })
        } else {
          response.writeHead(200)
          response.write('\n')
        }
      }
      const { client, server } = await setUpClient(protocol, answer)
      const aborter = new AbortController()
      const options = { resourceVersion: '1', timeoutSeconds: 300, signal: aborter.signal }
      const watches = Array.from({ length: 66 }, (_, at) =>
        client
          .watch(secrets, `plant-${at}`, options)
          [Symbol.asyncIterator]()
          .next()
          .catch((error: unknown) => error),
      )
      await vi.waitFor(() => expect(server.received).toHaveLength(66), 10_000)
      expect(await client.get(leases, { namespace: 'enos-system', name: 'lease' })).toEqual({
        metadata: { name: 'lease' },
      })
      aborter.abort()
      await Promise.all(watches)
    },
  )
})

describe('ApiConnections.request', () => {
  const refusal = new errors.InformationalError('HTTP/2: "GOAWAY" frame received with code 0')

  /** Connections of which the first calls fail with that error. */
  async function setUpFailing(error: Error, failures: number) {
    const { connections, server } = await setUp()
    const request = vi.spyOn(connections.calls, 'request').mockResolvedValue({ statusCode: 200 } as never)
    for (let failure = 0; failure < failures; failure++) request.mockRejectedValueOnce(error)
    return { request, call: () => connections.request('calls', { origin: server.url, path: '/', method: 'PATCH' }) }
  }

  it('sends a request again that GOAWAY refused', async () => {
    const { call, request } = await setUpFailing(refusal, 3)
    await expect(call()).resolves.toEqual({ statusCode: 200 })
    expect(request).toHaveBeenCalledTimes(4)
  })

  it('gives up after three retries', async () => {
    const { call, request } = await setUpFailing(refusal, 4)
    await expect(call()).rejects.toBe(refusal)
    expect(request).toHaveBeenCalledTimes(4)
  })

  it('sends a request once that failed otherwise: it may have been executed', async () => {
    const error = new errors.SocketError('other side closed')
    const { call, request } = await setUpFailing(error, 1)
    await expect(call()).rejects.toBe(error)
    expect(request).toHaveBeenCalledOnce()
  })
})
