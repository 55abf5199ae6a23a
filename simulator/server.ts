import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, Server as TlsServer } from 'node:https'
import { type Clock, SystemClock, type Timer } from '../src/lib/clock.ts'
import { Admin, adminPath } from './admin.ts'
import { type Call, CallLog } from './call-log.ts'
import { ConsumerApi } from './consumer-api.ts'
import { ConsumerCalls } from './consumer-calls.ts'
import { type FaultRule, Faults } from './faults.ts'
import { type Answer, deliver, jsonAnswer, parseJson, readBody } from './http-exchange.ts'
import { Listener } from './listener.ts'
import { type HeaderValues, RequiredHeaders } from './required-headers.ts'
import { TokenEndpoint } from './token-endpoint.ts'
import { type Operation, TokenService, type TokenServiceOptions } from './token-service.ts'

export interface SimulatorOptions extends Partial<TokenServiceOptions> {
  /** Default 127.0.0.1. */
  readonly host?: string
  /** Default 0: a free port. */
  readonly port?: number
  /** Path in front of the token service, like `/enos`. Default none. */
  readonly basePath?: string
  /** PEM; serves https. */
  readonly tls?: { readonly key: string; readonly cert: string } | undefined
  /** Delay between the token service's reply and its sending. Default 0. */
  readonly latencyMs?: number
  /** Headers that a proxy in front of the gateway demands with every call; HTTP 401 without them. Default none. */
  readonly requiredHeaders?: HeaderValues | undefined
  /** Whether `/simulator/` is served. Default false. */
  readonly hasAdmin?: boolean
}

export interface Simulator {
  /** With the base path, without a trailing slash. */
  readonly url: string
  readonly service: TokenService
  /** The last 100,000 calls of the token service, oldest first. Each read returns a copy. */
  readonly calls: readonly Call[]
  /** Calls to all paths but those of the token service and of the administration. */
  readonly consumerCalls: ConsumerCalls
  setFaults(rules: readonly FaultRule[]): void
  setLatency(ms: number): void
  setRequiredHeaders(values: HeaderValues): void
  /** Applies to connections opened from now on. @throws TypeError where https is not served */
  setTls(tls: { readonly key: string; readonly cert: string }): void
  /** True cuts all connections and refuses new ones; false listens again on the same port. */
  setOutage(isOut: boolean): Promise<void>
  clearCalls(): void
  close(): Promise<void>
}

const maxConnections = 10_000
const maxCalls = 100_000
const maxRequestBytes = 1024 * 1024
const tokenServicePath = '/apim-token-service/'
const tokenPath = `${tokenServicePath}v2.0/token/`

/**
 * Starts a simulated EnOS gateway.
 * @throws when the port is not available, or when `tls` is invalid
 */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const gateway = new Gateway(options)
  await gateway.listener.open()
  return gateway
}

class Gateway implements Simulator {
  readonly service: TokenService
  readonly consumerCalls = new ConsumerCalls()
  readonly listener: Listener
  readonly #server: Server
  readonly #clock: Clock
  readonly #clockOffsetMs: number
  readonly #origin: () => string
  readonly #basePath: string
  readonly #faults = new Faults()
  readonly #calls = new CallLog(maxCalls)
  readonly #requiredHeaders: RequiredHeaders
  readonly #tokens: TokenEndpoint
  readonly #consumerApi: ConsumerApi
  readonly #admin: Admin | undefined
  #latencyMs: number
  #outageTimer: Timer | undefined

  constructor(options: SimulatorOptions) {
    const { clock = new SystemClock(), host = '127.0.0.1', port = 0, tls } = options
    this.#clock = clock
    this.#clockOffsetMs = options.clockOffsetMs ?? 0
    this.#latencyMs = options.latencyMs ?? 0
    this.#basePath = normalisePath(options.basePath ?? '')
    this.service = new TokenService({ ...options, clock, applications: options.applications ?? [] })
    this.#requiredHeaders = new RequiredHeaders(options.requiredHeaders)
    this.#tokens = this.#createTokenEndpoint()
    this.#consumerApi = new ConsumerApi({
      clock,
      service: this.service,
      calls: this.consumerCalls,
      requiredHeaders: this.#requiredHeaders,
      wallMs: () => this.#wallMs(),
    })
    const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
      this.#serve(request, response).catch(() => {
        // The client closed the connection while sending or waiting: there is no recipient for an answer.
        response.destroy()
      })
    }
    this.#server = tls === undefined ? createServer(onRequest) : createTlsServer(tls, onRequest)
    this.listener = new Listener(this.#server, { host, port, maxConnections })
    const authority = host.includes(':') ? `[${host}]` : host
    this.#origin = () => `${tls === undefined ? 'http' : 'https'}://${authority}:${this.listener.port}`
    this.#admin = options.hasAdmin === true ? this.#createAdmin() : undefined
  }

  get url(): string {
    return this.#origin() + this.#basePath
  }

  get calls(): readonly Call[] {
    return this.#calls.list()
  }

  setFaults(rules: readonly FaultRule[]): void {
    this.#faults.set(rules)
  }

  setLatency(ms: number): void {
    this.#latencyMs = ms
  }

  setRequiredHeaders(values: HeaderValues): void {
    this.#requiredHeaders.set(values)
  }

  setTls(tls: { readonly key: string; readonly cert: string }): void {
    if (!(this.#server instanceof TlsServer)) throw new TypeError('this gateway does not serve https')
    this.#server.setSecureContext(tls)
  }

  setOutage(isOut: boolean): Promise<void> {
    this.#outageTimer?.cancel()
    this.#outageTimer = undefined
    return isOut ? this.listener.close() : this.listener.open()
  }

  clearCalls(): void {
    this.#calls.clear()
  }

  close(): Promise<void> {
    this.#outageTimer?.cancel()
    return this.listener.end()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [pathname = '/'] = (request.url ?? '/').split('?')
    const method = request.method ?? 'GET'
    const body = await readBody(request, maxRequestBytes)
    const operation = this.#operationOf(pathname)
    if (body === undefined) {
      this.#send(response, jsonAnswer(413, { error: `a body has at most ${maxRequestBytes} bytes` }))
    } else if (this.#admin !== undefined && pathname.startsWith(adminPath)) {
      this.#send(response, this.#admin.answer(method, pathname, parseJson(body)))
    } else if (operation === undefined) {
      const isReserved = pathname.startsWith(adminPath) || pathname.includes(tokenServicePath)
      const { headers, url: target = '/' } = request
      const notFound = jsonAnswer(404, { error: 'Not Found' })
      this.#send(response, isReserved ? notFound : this.#consumerApi.answer({ method, target, headers, body }))
    } else if (method !== 'POST') {
      this.#send(response, jsonAnswer(405, { error: 'Method Not Allowed' }))
    } else {
      await this.#tokens.serve(operation, parseJson(body), request, response)
    }
  }

  #send(response: ServerResponse, answer: Answer): void {
    deliver(response, answer, this.#wallMs(), 'whole')
  }

  #wallMs(): number {
    return this.#clock.wall() + this.#clockOffsetMs
  }

  #operationOf(pathname: string): Operation | undefined {
    const prefix = this.#basePath + tokenPath
    const name = pathname.startsWith(prefix) ? pathname.slice(prefix.length) : ''
    return name === 'get' || name === 'refresh' ? name : undefined
  }

  #createTokenEndpoint(): TokenEndpoint {
    return new TokenEndpoint({
      clock: this.#clock,
      service: this.service,
      calls: this.#calls,
      faults: this.#faults,
      requiredHeaders: this.#requiredHeaders,
      wallMs: () => this.#wallMs(),
      latencyMs: () => this.#latencyMs,
    })
  }

  #createAdmin(): Admin {
    return new Admin({
      clock: this.#clock,
      service: this.service,
      calls: this.#calls,
      consumerCalls: this.consumerCalls,
      faults: this.#faults,
      requiredHeaders: this.#requiredHeaders,
      latencyMs: () => this.#latencyMs,
      startOutage: (durationMs) => {
        this.#startOutage(durationMs)
      },
    })
  }

  #startOutage(durationMs: number): void {
    const change = (isOut: boolean): void => {
      this.setOutage(isOut).catch((error: unknown) => {
        // Another process has taken the port meanwhile: the simulator stays closed.
        process.emitWarning(`cannot end the outage: ${error instanceof Error ? error.message : 'not listening'}`)
      })
    }
    this.#outageTimer?.cancel()
    // Time for the answer to this request to be sent.
    this.#outageTimer = this.#clock.setTimer(20, () => {
      change(true)
      this.#outageTimer = this.#clock.setTimer(durationMs, () => change(false))
    })
  }
}

function normalisePath(path: string): string {
  const bare = path.replace(/^\/+|\/+$/g, '')
  return bare === '' ? '' : `/${bare}`
}
