import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import { Agent, type Dispatcher } from 'undici'
import { selfSigned } from '../support/certificate.ts'

/** A request as a fault rule sees it. */
export interface ApiRequest {
  readonly method: string
  /** With query. */
  readonly path: string
  readonly isWatch: boolean
  /** The bearer token that was sent. */
  readonly token: string | undefined
}

/** A fault instead of, or before, forwarding a request. */
export type ApiFault =
  /** An answer as of the API server, or of a proxy before it. */
  | { readonly kind: 'status'; readonly code: number; readonly reason: string; readonly retryAfterSeconds?: number }
  | { readonly kind: 'delay'; readonly ms: number }
  /** The stream is reset without an answer. */
  | { readonly kind: 'reset' }

/** @returns the fault that strikes this request; undefined forwards it */
export type ApiFaults = (request: ApiRequest) => ApiFault | undefined

const certificate = selfSigned()
/** Headers that are not forwarded: the proxy has its own connection and credentials. */
const ownHeaders = new Set(['host', 'authorization'])

/** A proxy between an operator and the API server that ends TLS and injects faults. HTTP/2 on both sides. */
export class ApiProxy {
  /** Path of a kubeconfig that names the proxy. The proxy itself uses the credentials of the kubeconfig it was given. */
  readonly kubeconfig: string
  readonly #directory: string
  readonly #upstream: Upstream
  readonly #server = createSecureServer(certificate)
  readonly #sockets = new Set<Socket>()
  readonly #watches = new Set<() => void>()
  #faults: ApiFaults = () => undefined
  #struck = 0

  private constructor(directory: string, upstream: Upstream) {
    this.#directory = directory
    this.kubeconfig = join(directory, 'config')
    this.#upstream = upstream
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    this.#server.on('request', (request, response) => {
      this.#serve(request, response).catch(() => {
        // One side closed the connection.
        response.stream.close()
      })
    })
  }

  /**
   * @param kubeconfig path; with a client certificate
   * @param user user entry of the proxy's kubeconfig
   */
  static async start(kubeconfig: string, user: { readonly authProvider?: object } = {}): Promise<ApiProxy> {
    const directory = await mkdtemp(join(tmpdir(), 'api-proxy-'))
    const proxy = new ApiProxy(directory, upstreamOf(kubeconfig))
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    const { port } = proxy.#server.address() as AddressInfo
    const config = new KubeConfig()
    config.loadFromClusterAndUser(
      {
        name: 'proxy',
        server: `https://127.0.0.1:${port}`,
        skipTLSVerify: false,
        caData: Buffer.from(certificate.cert).toString('base64'),
      },
      { name: 'operator', ...user },
    )
    await writeFile(proxy.kubeconfig, config.exportConfig())
    return proxy
  }

  /** Number of requests that a fault struck. */
  get struck(): number {
    return this.#struck
  }

  setFaults(faults: ApiFaults): void {
    this.#faults = faults
  }

  /** Ends every open watch. @returns their number */
  cutWatches(): number {
    const { size } = this.#watches
    for (const cut of [...this.#watches]) cut()
    return size
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await this.#upstream.agent.destroy()
    await rm(this.#directory, { recursive: true })
  }

  async #serve(request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> {
    const { headers, method, url: path } = request
    const isWatch = /[?&]watch=true/.test(path)
    const fault = this.#faults({ method, path, isWatch, token: headers.authorization?.replace('Bearer ', '') })
    if (fault !== undefined) this.#struck++
    if (fault?.kind === 'reset') {
      response.stream.close()
      return
    }
    if (fault?.kind === 'status') {
      answer(response, fault)
      return
    }
    if (fault?.kind === 'delay') await new Promise((resolve) => setTimeout(resolve, fault.ms))
    await this.#pass(request, response, isWatch)
  }

  async #pass(request: Http2ServerRequest, response: Http2ServerResponse, isWatch: boolean): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const headers = Object.entries(request.headers).filter(([name]) => !name.startsWith(':') && !ownHeaders.has(name))
    const answered = await this.#upstream.agent.request({
      origin: this.#upstream.server,
      path: request.url,
      method: request.method,
      headers: Object.fromEntries(headers),
      body: chunks.length === 0 ? null : Buffer.concat(chunks),
      signal: gone.signal,
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    const cut = (): void => {
      response.stream.close()
    }
    if (isWatch) this.#watches.add(cut)
    try {
      response.writeHead(answered.statusCode, forwardedHeaders(answered.headers))
      for await (const chunk of answered.body as AsyncIterable<Buffer>) response.write(chunk)
      response.end()
    } finally {
      this.#watches.delete(cut)
    }
  }
}

interface Upstream {
  readonly server: string
  readonly agent: Agent
}

function upstreamOf(kubeconfig: string): Upstream {
  const config = new KubeConfig()
  config.loadFromFile(kubeconfig)
  const text = (data: string | undefined): string => Buffer.from(data ?? '', 'base64').toString()
  const [cluster, user] = [config.getCurrentCluster(), config.getCurrentUser()]
  const connect = { ca: text(cluster?.caData), cert: text(user?.certData), key: text(user?.keyData) }
  // Enough for the watches and calls of one operator.
  return { server: cluster?.server ?? '', agent: new Agent({ connect, allowH2: true, connections: 8 }) }
}

function answer(
  response: Http2ServerResponse,
  { code, reason, retryAfterSeconds }: Extract<ApiFault, { kind: 'status' }>,
): void {
  const headers = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }
  response.writeHead(code, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason }))
}

/** Without headers of the connection. */
function forwardedHeaders(headers: Dispatcher.ResponseData['headers']): Record<string, string | string[]> {
  const all = Object.entries(headers).filter(([name]) => !['connection', 'transfer-encoding'].includes(name))
  return Object.fromEntries(all.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
}
