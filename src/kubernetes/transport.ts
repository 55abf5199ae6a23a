import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { ClientHttp2Stream } from 'node:http2'
import { Agent, type Dispatcher, Pool, ProxyAgent } from 'undici'
import type { Clock } from '../lib/clock.ts'
import type { Connection, Credentials } from './auth.ts'
import { ApiError } from './errors.ts'

export interface TransportRequest {
  /** For messages: `get secrets plant-a/enos-token`. */
  readonly call: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With query. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly signal: AbortSignal
}

export interface TransportOptions {
  readonly credentials: Credentials
  readonly clock: Clock
  readonly userAgent: string
  /** Called once for each answer; `code` is the HTTP status, or `<error>` as in client-go. */
  readonly onAnswer?: (answer: { readonly method: string; readonly code: string; readonly host: string }) => void
}

/** Calls under way on a connection whose credentials were rotated are given this long; then watches start anew. */
const retireAfterMs = 30_000
/** A dead connection is found by an HTTP/2 PING in this time. */
const pingIntervalMs = 15_000
/** @see https://nodejs.org/api/diagnostics_channel.html#event-http2clientstreamcreated */
const streamsCreated = 'http2.client.stream.created'

/**
 * Requests to the API server over one kept-alive pool of connections for each set of credentials: HTTP/2 where the
 * server offers it. client-node's own makes a TLS connection for every request.
 */
export class Transport {
  readonly #options: TransportOptions
  #connected: Connected | undefined

  constructor(options: TransportOptions) {
    this.#options = options
    subscribe(streamsCreated, listenForErrors)
  }

  /**
   * Sends a request, and again with fresh credentials if they were refused (401: it was not executed).
   * @throws ApiError when no answer came; every answer is returned, whatever its status
   */
  async request(request: TransportRequest): Promise<Dispatcher.ResponseData> {
    const response = await this.#send(request)
    if (response.statusCode !== 401) return response
    await response.body.dump()
    this.#options.credentials.invalidate()
    return await this.#send(request)
  }

  async close(): Promise<void> {
    await this.#connected?.dispatcher.destroy()
    unsubscribe(streamsCreated, listenForErrors)
  }

  async #send({ call, method, path, headers, body, signal }: TransportRequest): Promise<Dispatcher.ResponseData> {
    const { credentials, onAnswer, userAgent } = this.#options
    let host = ''
    try {
      const connection = await orAborted(credentials.current(), signal)
      const server = new URL(connection.server)
      host = server.host
      const response = await this.#dispatcherFor(connection).request({
        origin: server.origin,
        path: `${server.pathname === '/' ? '' : server.pathname}${path}`,
        method,
        headers: { accept: 'application/json', 'user-agent': userAgent, ...connection.headers, ...headers },
        ...(body === undefined ? {} : { body }),
        signal,
        // Each call has its own deadline; a watch may be silent for long.
        headersTimeout: 0,
        bodyTimeout: 0,
      })
      onAnswer?.({ method, code: String(response.statusCode), host })
      return response
    } catch (error) {
      onAnswer?.({ method, code: '<error>', host })
      throw new ApiError(call, { code: 0, reason: signal.aborted ? abortReason(signal) : networkReason(error) })
    }
  }

  #dispatcherFor(connection: Connection): Dispatcher {
    if (this.#connected?.identity === connection.identity) return this.#connected.dispatcher
    if (this.#connected !== undefined) this.#retire(this.#connected)
    this.#connected = connect(connection)
    return this.#connected.dispatcher
  }

  #retire({ dispatcher, pools }: Connected): void {
    const ignore = (): void => {
      // It is on its way out; its calls report their own errors.
    }
    dispatcher.close().catch(ignore)
    this.#options.clock.setTimer(retireAfterMs, () => {
      // A closed Agent has forgotten its pools: destroying it would do nothing.
      for (const pool of pools) pool.destroy().catch(ignore)
    })
  }
}

interface Connected {
  readonly identity: string
  readonly dispatcher: Dispatcher
  readonly pools: readonly Pool[]
}

function connect({ identity, proxyUrl, tls }: Connection): Connected {
  const pools: Pool[] = []
  const common = {
    allowH2: true,
    // One HTTP/2 connection carries everything; HTTP/1.1 needs one for each call in flight, and for each watch.
    connections: 64,
    keepAliveTimeout: 60_000,
    h2Options: { pingInterval: pingIntervalMs, maxConcurrentStreams: 100 },
    factory: (origin: string | URL, options: object): Pool => {
      const pool = new Pool(origin, options)
      pools.push(pool)
      return pool
    },
  }
  const dispatcher =
    proxyUrl === undefined
      ? new Agent({ ...common, connect: { ...tls, timeout: 10_000, keepAlive: true, keepAliveInitialDelay: 30_000 } })
      : new ProxyAgent({ ...common, uri: proxyUrl, requestTls: tls })
  return { identity, dispatcher, pools }
}

/**
 * Headers that come for a stream which was given up make Node create another one, of which nobody knows: with the end of
 * the connection its error, that nobody listens for, would end the process.
 */
function listenForErrors(message: unknown): void {
  const { stream } = message as { readonly stream: ClientHttp2Stream }
  stream.on('error', () => {
    // Whoever made the call is told by its own stream.
  })
}

/** What a promise comes to; rejects when the signal aborts first. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = (): void => {
    aborted.reject(new Error('aborted'))
  }
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** `Timeout` for a deadline of ours; else the caller aborted. */
export function abortReason(signal: AbortSignal): string {
  return signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError' ? 'Timeout' : 'Aborted'
}

/** The code of a network error, never its message: with exec credentials that is the output of a command. */
export function networkReason(error: unknown): string {
  for (let current = error; current instanceof Error; current = current.cause) {
    if ('code' in current && typeof current.code === 'string') return current.code
  }
  return 'ConnectionFailed'
}
