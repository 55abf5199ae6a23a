import { describe, expect, it } from 'vitest'
import { secrets, type WatchEvent } from '../../../src/kubernetes/types.ts'
import { collect, errorOf, json, type Response, setUpClient } from './local-server.ts'

const secret = 's3cr3t-in-a-body'
const protocols = ['HTTP/1.1', 'HTTP/2'] as const

describe('HttpKubernetesClient.watch', () => {
  const event = (type: string, resourceVersion: number) => ({
    type,
    object: { metadata: { name: 'enos-token', resourceVersion: String(resourceVersion) } },
  })

  /** A watch whose server side the test controls. */
  async function open(protocol: (typeof protocols)[number] = 'HTTP/1.1', options: { metadataOnly?: boolean } = {}) {
    const arrived = Promise.withResolvers<Response>()
    const setup = await setUpClient(
      protocol,
      (response) => {
        response.writeHead(200)
        response.write('\n')
        arrived.resolve(response)
      },
      { silenceLimitMs: 150_000 },
    )
    const aborter = new AbortController()
    const events = setup.client
      .watch(secrets, 'plant-a', { resourceVersion: '41', timeoutSeconds: 300, signal: aborter.signal, ...options })
      [Symbol.asyncIterator]()
    const first = events.next()
    const response = await arrived.promise
    const send = (text: unknown): void => void response.write(`${JSON.stringify(text)}\n`)
    return { ...setup, aborter, events, first, response, send }
  }

  it('asks for bookmarks and starts from the given resourceVersion', async () => {
    const { server, response, first } = await open()
    response.end()
    await first
    expect(Object.fromEntries(server.received[0]?.url.searchParams ?? [])).toEqual({
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: '41',
      timeoutSeconds: '300',
    })
    expect(server.received[0]?.url.pathname).toBe('/api/v1/namespaces/plant-a/secrets')
  })

  it('asks for PartialObjectMetadata when metadataOnly is set', async () => {
    const { server, response, first } = await open('HTTP/1.1', { metadataOnly: true })
    response.end()
    await first
    expect(server.received[0]?.headers.accept).toBe('application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1')
  })

  it.each(protocols)('yields each event as it arrives and ends when the server ends it, over %s', async (protocol) => {
    const { clock, events, first, response, send } = await open(protocol)
    send(event('ADDED', 42))
    expect(await first).toEqual({ done: false, value: event('ADDED', 42) })
    send(event('BOOKMARK', 50))
    expect((await events.next()).value).toEqual(event('BOOKMARK', 50))
    response.end()
    expect((await events.next()).done).toBe(true)
    expect(clock.pendingTimers).toBe(0)
  })

  it('throws the code and reason of an ERROR event, without its message', async () => {
    const { first, send } = await open()
    send({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: secret } })
    const error = await errorOf(first)
    expect(error).toMatchObject({ code: 410, reason: 'Expired' })
    expect(error.message).toBe('watch secrets plant-a: HTTP 410 Expired')
  })

  it('throws the error that the server answers instead of events', async () => {
    const { client } = await setUpClient('HTTP/1.1', (response) => {
      json(response, 410, { reason: 'Gone', message: secret })
    })
    const options = { resourceVersion: '1', timeoutSeconds: 300, signal: new AbortController().signal }
    const error = await errorOf(collect(client.watch(secrets, undefined, options)))
    expect(error.message).toBe('watch secrets: HTTP 410 Gone')
  })

  it('fails with Timeout after too long a silence', async () => {
    const { clock, events, first, send } = await open()
    await clock.advance(149_999)
    send(event('ADDED', 42))
    await first
    const second = errorOf(events.next() as Promise<IteratorResult<WatchEvent<never>>>)
    await clock.advance(149_999)
    expect(clock.pendingTimers).toBe(1)
    await clock.advance(1)
    expect(await second).toMatchObject({ code: 0, reason: 'Timeout' })
    expect(clock.pendingTimers).toBe(0)
  })

  it('fails with Aborted when its signal aborts', async () => {
    const { aborter, clock, first } = await open()
    aborter.abort()
    expect(await errorOf(first)).toMatchObject({ code: 0, reason: 'Aborted' })
    expect(clock.pendingTimers).toBe(0)
  })

  it('throws when its connection breaks', async () => {
    const { first, server, events, send } = await open()
    send(event('ADDED', 42))
    await first
    const next = errorOf(events.next() as Promise<IteratorResult<WatchEvent<never>>>)
    server.cut()
    expect((await next).code).toBe(0)
  })

  it('fails with NotJson on other text, without quoting it', async () => {
    const { first, response } = await open()
    response.write(`{"data": ${secret}}\n`)
    const error = await errorOf(first)
    expect(error).toMatchObject({ code: 0, reason: 'NotJson' })
    expect(JSON.stringify([error, error.stack, error.cause])).not.toContain(secret)
  })

  it('closes the request when its reader stops', async () => {
    const { events, first, response, send } = await open()
    const closed = new Promise((resolve) => (response as unknown as NodeJS.EventEmitter).on('close', resolve))
    send(event('ADDED', 42))
    await first
    await events.return(undefined)
    await closed
  })
})
