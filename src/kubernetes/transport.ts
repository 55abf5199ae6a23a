import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { ClientHttp2Stream } from 'node:http2'
import type { Dispatcher } from 'undici'
import type { Clock } from '../lib/clock.ts'
import { ApiConnections } from './api-connections.ts'
import type { ApiServerAuth, Connection } from './auth.ts'
import { ApiError } from './errors.ts'
import { KubeconfigError } from './kubeconfig-error.ts'

export interface TransportRequest {
  /** For messages: `get secrets plant-a/enos-token`. */
  readonly call: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With query. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** A watch: the response lasts for minutes. */
  readonly isWatch?: boolean
  readonly signal: AbortSignal
}

export interface TransportOptions {
  readonly auth: ApiServerAuth
  readonly clock: Clock
  readonly userAgent: string
  /** Called once for each response; `code` is the HTTP status, or `<error>` as in client-go. */
  readonly onAnswer?: (answer: ApiAnswer) => void
}

export interface ApiAnswer {
  /** `get secrets plant-a/enos-token`. */
  readonly call: string
  readonly method: string
  readonly code: string
  readonly host: string
  /** To the first byte of the response. */
  readonly durationMs: number
}

/** @see https://nodejs.org/api/diagnostics_channel.html#event-http2clientstreamcreated */
const streamsCreated = 'http2.client.stream.created'

/**
 * Requests to the API server over kept-alive connections, one set for each set of credentials. client-node's own client
 * makes a TLS connection for every request.
 */
export class Transport {
  readonly #options: TransportOptions
  #connections: ApiConnections | undefined

  constructor(options: TransportOptions) {
    this.#options = options
    subscribe(streamsCreated, listenForErrors)
  }

  /**
   * Sends a request, and once more with fresh credentials after a 401 (which was not executed).
   * @returns the response, of any status
   * @throws ApiError when there was no response
   */
  async request(request: TransportRequest): Promise<Dispatcher.ResponseData> {
    const response = await this.#send(request)
    if (response.statusCode !== 401) return response
    await response.body.dump()
    this.#options.auth.invalidate()
    return await this.#send(request)
  }

  async close(): Promise<void> {
    await this.#connections?.destroy()
    unsubscribe(streamsCreated, listenForErrors)
  }

  async #send(request: TransportRequest): Promise<Dispatcher.ResponseData> {
    const { auth, clock, onAnswer, userAgent } = this.#options
    const { body, call, headers, isWatch = false, method, path, signal } = request
    let host = ''
    const sentAt = clock.now()
    const tell = (code: string): void => {
      onAnswer?.({ call, method, code, host, durationMs: clock.now() - sentAt })
    }
    try {
      const connection = auth.known() ?? (await orAborted(auth.current(), signal))
      const connections = this.#connectionsFor(connection)
      const { server } = connections
      host = server.host
      const response = await connections.request(isWatch ? 'watches' : 'calls', {
        origin: server.origin,
        path: `${server.pathname === '/' ? '' : server.pathname}${path}`,
        method,
        headers: { accept: 'application/json', 'user-agent': userAgent, ...connection.headers, ...headers },
        ...(body === undefined ? {} : { body }),
        signal,
        // The signal carries the deadline; a watch may be silent for longer than undici's default.
        headersTimeout: 0,
        bodyTimeout: 0,
      })
      tell(String(response.statusCode))
      return response
    } catch (error) {
      tell('<error>')
      const reason = signal.aborted ? abortReason(signal) : networkReason(error)
      // A KubeconfigError names the file or plugin at fault, and quotes nothing of it.
      throw new ApiError(call, { code: 0, reason, ...(error instanceof KubeconfigError && { detail: error.message }) })
    }
  }

  #connectionsFor(connection: Connection): ApiConnections {
    if (this.#connections?.identity === connection.identity) return this.#connections
    this.#connections?.retire(this.#options.clock)
    this.#connections = new ApiConnections(connection)
    return this.#connections
  }
}

/**
 * When headers arrive for an HTTP/2 stream that was cancelled, Node creates a second stream without a listener. At the
 * end of the connection that stream emits an error, which would end the process.
 */
function listenForErrors(message: unknown): void {
  const { stream } = message as { readonly stream: ClientHttp2Stream }
  stream.on('error', () => {
    // The caller gets the error of the stream that it opened.
  })
}

/** The result of the promise; rejects when the signal aborts first. */
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

/** `Timeout` when the deadline passed, else `Aborted`. */
export function abortReason(signal: AbortSignal): string {
  return signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError' ? 'Timeout' : 'Aborted'
}

/** The code of a network error, never its message: that of an exec plugin holds the plugin's output. */
export function networkReason(error: unknown): string {
  for (let current = error; current instanceof Error; current = current.cause) {
    if ('code' in current && typeof current.code === 'string') return current.code
  }
  return 'ConnectionFailed'
}
