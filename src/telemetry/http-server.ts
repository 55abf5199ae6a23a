import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Writable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { setImmediate as otherWork } from 'node:timers/promises'
import { constants, createGzip } from 'node:zlib'
import type { BindAddress } from '../config/flags.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { MetricsCertificate } from './metrics-certificate.ts'

export interface HttpAnswer {
  readonly status: number
  readonly contentType?: string
  /**
   * Pieces are made one by one, as fast as the client reads them, and other work goes on in between. A piece is used up
   * before the next one is asked for.
   */
  readonly body: string | Iterable<Uint8Array>
}

/** Handlers of GET requests, by path. */
export type Routes = Readonly<Record<string, () => Promise<HttpAnswer> | HttpAnswer>>

export interface HttpServerOptions {
  readonly address: BindAddress
  readonly routes: Routes
  readonly clock: Pick<Clock, 'setTimer'>
  readonly log: Log
  /** Default: plain HTTP. */
  readonly certificate?: MetricsCertificate | undefined
}

export interface HttpServer {
  /** The port that was bound. */
  readonly port: number
  close(): Promise<void>
}

/** Answers in progress. A scrape in progress holds a list of all resources, and a compressor of a quarter of a MiB. */
const maxAnswers = 4
/** A client that has not read its answer by then is cut off. Prometheus waits 10 s for a scrape by default. */
const answerLimitMs = 30_000
const plainText = 'text/plain; charset=utf-8'

/**
 * Serves GET and HEAD requests on fixed paths. A route that throws answers 500; its error is logged, and never sent.
 *
 * @throws the error of listening, such as EADDRINUSE
 */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { address, certificate, clock } = options
  const handler = new Handler(options)
  let answers = 0
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    if (answers >= maxAnswers) {
      sendText(response, 503, 'too many requests in progress\n')
      return
    }
    answers++
    const limit = clock.setTimer(answerLimitMs, () => response.destroy())
    void handler.answer(request, response).finally(() => {
      limit.cancel()
      answers--
    })
  }
  const server = createServerFor(certificate, onRequest)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(address.port, address.host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      certificate?.stop()
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

type OnRequest = (request: IncomingMessage, response: ServerResponse) => void

function createServerFor(certificate: MetricsCertificate | undefined, onRequest: OnRequest): Server | TlsServer {
  const limits = { requestTimeout: 10_000, headersTimeout: 5000 }
  if (certificate === undefined) return createServer(limits, onRequest)
  // `close` waits for handshakes in progress.
  const server = createTlsServer({ ...limits, handshakeTimeout: 2000, ...certificate.pair }, onRequest)
  // Connections that are open keep the certificate that they began with.
  certificate.watch((pair) => {
    server.setSecureContext(pair)
  })
  return server
}

/** Answers requests by the routes. */
class Handler {
  readonly #routes: Routes
  readonly #log: Log
  /** The last failure of each failing route, so bounded by the routes: one line for each kind of failure, not for each scrape. */
  readonly #failures = new Map<string, string>()

  constructor({ log, routes }: Pick<HttpServerOptions, 'routes' | 'log'>) {
    this.#routes = routes
    this.#log = log
  }

  /** Never rejects. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = ''] = (request.url ?? '').split('?')
    const route = request.method === 'GET' || request.method === 'HEAD' ? this.#routes[path] : undefined
    if (route === undefined) {
      sendText(response, 404, 'not found\n')
      return
    }
    try {
      await send(request, response, await route())
      this.#failures.delete(path)
    } catch (error) {
      if (isClientGone(error)) return
      this.#report(path, error)
      if (response.headersSent) response.destroy()
      else sendText(response, 500, 'internal error\n')
    }
  }

  #report(path: string, error: unknown): void {
    const failure = error instanceof Error ? `${error.name}: ${error.message}` : typeof error
    if (this.#failures.get(path) !== failure) this.#log.error({ route: path, err: error }, 'route failed')
    this.#failures.set(path, failure)
  }
}

async function send(
  { headers, method }: IncomingMessage,
  response: ServerResponse,
  { body, contentType = plainText, status }: HttpAnswer,
): Promise<void> {
  if (typeof body === 'string') {
    sendText(response, status, body, contentType)
    return
  }
  const isCompressed = acceptsGzip(headers['accept-encoding'])
  const encoding = isCompressed ? { 'content-encoding': 'gzip' } : {}
  response.writeHead(status, { ...headersOf(contentType), vary: 'accept-encoding', ...encoding })
  if (method === 'HEAD') {
    response.end()
  } else if (isCompressed) {
    const compressor = createGzip({ level: constants.Z_BEST_SPEED })
    await Promise.all([writePieces(body, compressor), pipeline(compressor, response)])
  } else {
    await Promise.all([writePieces(body, response), finished(response)])
  }
}

function sendText(response: ServerResponse, status: number, text: string, contentType = plainText): void {
  response.writeHead(status, headersOf(contentType))
  // Node leaves the body of an answer to HEAD out.
  response.end(text)
}

function headersOf(contentType: string): Record<string, string> {
  return { 'content-type': contentType, 'x-content-type-options': 'nosniff' }
}

/** Stops when the stream is closed, of which its owner hears the reason. */
async function writePieces(pieces: Iterable<Uint8Array>, stream: Writable): Promise<void> {
  for (const piece of pieces) {
    await written(piece, stream)
    await otherWork()
    if (stream.destroyed) return
  }
  stream.end()
}

/** Resolves when the stream has used the piece, or is closed. */
function written(piece: Uint8Array, stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    stream.once('close', resolve)
    stream.write(piece, () => {
      stream.off('close', resolve)
      resolve()
    })
  })
}

function acceptsGzip(accepted: string | string[] | undefined): boolean {
  return String(accepted ?? '')
    .split(',')
    .some((coding) => /^\s*gzip\s*(?:;(?!\s*q=0(?:\.0*)?\s*$).*)?$/i.test(coding))
}

/** The client closed the connection, or was cut off. */
function isClientGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE'
}
