import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2'
import { createServer as createHttp1Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { KubeConfig } from '@kubernetes/client-node'
import { onTestFinished, vi } from 'vitest'
import { ApiServerAuth } from '../../../src/kubernetes/auth.ts'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import { HttpKubernetesClient } from '../../../src/kubernetes/http-client.ts'
import { Transport } from '../../../src/kubernetes/transport.ts'
import { selfSigned } from '../../support/certificate.ts'
import { FakeClock } from '../../support/fake-clock.ts'

export type Request = IncomingMessage | Http2ServerRequest
/** The common part of both protocols. */
export type Response = Pick<ServerResponse, 'writeHead' | 'write' | 'end'>

export interface Received {
  readonly method: string
  readonly url: URL
  readonly headers: Request['headers']
  readonly body: string
}

export type Answer = (response: Response, received: Received, count: number) => void

export type Protocol = 'HTTP/1.1' | 'HTTP/2'

const certificate = selfSigned()

/** A real server on a free port of 127.0.0.1 until the end of the test. */
export async function startServer(protocol: Protocol, answer: Answer) {
  const received: Received[] = []
  const handle = (request: Request, response: ServerResponse | Http2ServerResponse): void => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      const url = new URL(request.url ?? '', 'http://local')
      const one = { method: request.method ?? '', url, headers: request.headers, body }
      answer(response as Response, one, received.push(one))
    })
  }
  const server =
    protocol === 'HTTP/2' ? createSecureServer(certificate, handle) : createHttp1Server(certificate, handle)
  const sockets = new Set<Socket>()
  const sessions = new Set<ServerHttp2Session>()
  server.on('session', (session: ServerHttp2Session) => {
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
  })
  let connections = 0
  server.on('secureConnection', (socket: Socket) => {
    connections++
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `https://127.0.0.1:${port}`,
    received,
    connections: () => connections,
    /** The server's certificate, which is its own CA. */
    ca: certificate.cert,
    /** Sends GOAWAY on every connection of HTTP/2: open streams go on, and the client must connect anew for others. */
    goAway: () => {
      for (const session of sessions) session.close()
    },
    openConnections: () => sockets.size,
    /** Breaks every connection. */
    cut: () => {
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** A kubeconfig for such a server. */
export function kubeconfigFor(server: string, user: { token?: string; password?: string } = {}): KubeConfig {
  const config = new KubeConfig()
  const { token, password } = user
  config.loadFromClusterAndUser(
    { name: 'local', server, skipTLSVerify: false, caData: Buffer.from(certificate.cert).toString('base64') },
    {
      name: 'operator',
      ...(token === undefined ? {} : { token }),
      ...(password === undefined ? {} : { username: 'operator', password }),
    },
  )
  return config
}

/** A client of such a server until the end of the test. Time stands still unless the test advances it. */
export async function setUpClient(
  protocol: Protocol,
  answer: Answer,
  options: {
    readonly load?: (url: string) => KubeConfig
    readonly basePath?: string
    readonly silenceLimitMs?: number
  } = {},
) {
  const server = await startServer(protocol, answer)
  const clock = new FakeClock()
  const onAnswer = vi.fn()
  const url = server.url + (options.basePath ?? '')
  const load = vi.fn(() => (options.load ?? kubeconfigFor)(url))
  const auth = new ApiServerAuth(load, clock)
  const transport = new Transport({ auth, clock, userAgent: 'unit-test/1', onAnswer })
  onTestFinished(() => transport.close())
  const { silenceLimitMs } = options
  const client = new HttpKubernetesClient({
    transport,
    clock,
    fieldManager: 'unit-test',
    ...(silenceLimitMs === undefined ? {} : { silenceLimitMs }),
  })
  return { server, clock, client, transport, auth, load, onAnswer }
}

/** Answers with JSON. */
export function json(response: Response, code: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(code, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(body))
}

/** The ApiError that a promise rejects with. */
export async function errorOf(promise: Promise<unknown>): Promise<ApiError> {
  const error: unknown = await promise.then(
    () => undefined,
    (caught: unknown) => caught,
  )
  if (!(error instanceof ApiError)) throw new Error('no ApiError was thrown', { cause: error })
  return error
}

/** All items of an iterable. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
