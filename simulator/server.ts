import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, Server as TlsServer } from 'node:https'
import { fingerprintOf } from '../src/enos/signature.ts'
import { type Clock, sleep, SystemClock, type Timer } from '../src/lib/clock.ts'
import { Sensitive } from '../src/lib/sensitive.ts'
import { Admin, adminPath } from './admin.ts'
import { type Call, CallLog } from './call-log.ts'
import { type Fault, type FaultRule, Faults } from './faults.ts'
import { type Answer, deliver, type Delivery, jsonAnswer, parseJson, readBody, reset } from './http-exchange.ts'
import { Listener } from './listener.ts'
import { type Operation, TokenService, type TokenServiceOptions } from './token-service.ts'

export interface SimulatorOptions extends Partial<TokenServiceOptions> {
  /** Default 127.0.0.1. */
  readonly host?: string
  /** Default 0: a free one. */
  readonly port?: number
  /** Goes before the path of the token service, like `/enos`. Default none. */
  readonly basePath?: string
  /** PEM; serves https. */
  readonly tls?: { readonly key: string; readonly cert: string } | undefined
  /** An answer is sent this long after the token service has given it. Default 0. */
  readonly latencyMs?: number
  /** Whether the state can be seen and changed under `/simulator/`. Default false. */
  readonly hasAdmin?: boolean
}

export interface Simulator {
  /** With the base path, without a trailing slash. */
  readonly url: string
  readonly service: TokenService
  /** The last 100,000 calls of the token service, oldest first; each reading gives a copy. */
  readonly calls: readonly Call[]
  setFaults(rules: readonly FaultRule[]): void
  setLatency(ms: number): void
  /** Of connections that are opened from now on. @throws where https is not served */
  setTls(tls: { readonly key: string; readonly cert: string }): void
  /** True cuts all connections and refuses new ones; false listens again, on the same port. */
  setOutage(isOut: boolean): Promise<void>
  clearCalls(): void
  close(): Promise<void>
}

const rememberedCalls = 100_000
const maxRequestBytes = 1024 * 1024
const tokenPath = '/apim-token-service/v2.0/token/'

/**
 * Starts a simulated EnOS gateway.
 * @throws when the port cannot be had, or with `tls` that is none
 */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const gateway = new Gateway(options)
  await gateway.listener.open()
  return gateway
}

class Gateway implements Simulator {
  readonly service: TokenService
  readonly listener: Listener
  readonly #server: Server
  readonly #clock: Clock
  readonly #clockOffsetMs: number
  readonly #origin: () => string
  readonly #basePath: string
  readonly #faults = new Faults()
  readonly #calls = new CallLog(rememberedCalls)
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
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      this.#serve(request, response).catch(() => {
        // The client went away while it was sending or waiting: nobody is left to answer.
        response.destroy()
      })
    }
    this.#server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener)
    this.listener = new Listener(this.#server, host, port)
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

  setTls(tls: { readonly key: string; readonly cert: string }): void {
    if (!(this.#server instanceof TlsServer)) throw new TypeError('this gateway serves no https')
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
    const text = await readBody(request, maxRequestBytes)
    const operation = this.#operationOf(pathname)
    if (text === undefined) {
      this.#send(response, jsonAnswer(413, { error: `a body has at most ${maxRequestBytes} bytes` }))
    } else if (this.#admin !== undefined && pathname.startsWith(adminPath)) {
      this.#send(response, this.#admin.answer(method, pathname, parseJson(text)))
    } else if (operation === undefined) {
      this.#send(response, jsonAnswer(404, { error: 'Not Found' }))
    } else if (method !== 'POST') {
      this.#send(response, jsonAnswer(405, { error: 'Method Not Allowed' }))
    } else {
      await this.#serveToken(operation, parseJson(text), request, response)
    }
  }

  async #serveToken(
    operation: Operation,
    json: unknown,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const appKey = textAt(json, 'appKey')
    const fault = this.#faults.take(operation, appKey)
    const { answer, status, token } = this.#ask(operation, json, fault)
    this.#calls.add({
      operation,
      appKey,
      atMs: this.#clock.now(),
      status,
      httpStatus: answer?.httpStatus,
      fingerprint: token === undefined ? undefined : fingerprintOf(new Sensitive(token)),
      fault: fault?.kind,
    })
    // The service has answered; the way back is what takes long. So a reply is already that old when it arrives.
    const delayMs = this.#latencyMs + (fault?.kind === 'slow' ? fault.delayMs : 0)
    if (delayMs > 0) await this.#waitFor(delayMs, response)
    if (answer !== undefined) this.#send(response, answer, deliveryOf(fault))
    else if (fault?.kind === 'reset') reset(request)
  }

  #ask(operation: Operation, json: unknown, fault: Fault | undefined): Asked {
    if (fault?.kind === 'reset' || fault?.kind === 'hang') return { answer: undefined }
    if (fault?.kind === 'http') {
      return { answer: { httpStatus: fault.status, headers: fault.headers, body: fault.body ?? '' } }
    }
    const reply = fault?.kind === 'status' ? this.service.refusal(fault.status) : this.service[operation](json)
    const status = numberAt(reply.json, 'status')
    const data = valueAt(reply.json, 'data')
    const token = textAt(data, 'accessToken')
    let answer = jsonAnswer(reply.httpStatus, reply.json)
    if (fault?.kind === 'expire' && token !== undefined) {
      const spoilt = { ...(reply.json as object), data: { accessToken: token, expire: fault.value } }
      answer = jsonAnswer(reply.httpStatus, spoilt)
    }
    if (fault?.kind === 'large') answer = { ...answer, body: answer.body.padEnd(fault.bytes) }
    return { answer, status, token }
  }

  #send(response: ServerResponse, answer: Answer, delivery: Delivery = 'whole'): void {
    deliver(response, answer, this.#clock.wall() + this.#clockOffsetMs, delivery)
  }

  /** Rejects when the client does not wait for it. */
  async #waitFor(delayMs: number, response: ServerResponse): Promise<void> {
    const gone = new AbortController()
    const abort = (): void => gone.abort()
    response.once('close', abort)
    try {
      await sleep(this.#clock, delayMs, gone.signal)
    } finally {
      response.off('close', abort)
    }
  }

  #operationOf(pathname: string): Operation | undefined {
    const prefix = this.#basePath + tokenPath
    const name = pathname.startsWith(prefix) ? pathname.slice(prefix.length) : ''
    return name === 'get' || name === 'refresh' ? name : undefined
  }

  #createAdmin(): Admin {
    return new Admin({
      clock: this.#clock,
      service: this.service,
      calls: this.#calls,
      faults: this.#faults,
      latencyMs: () => this.#latencyMs,
      startOutage: (durationMs) => {
        this.#startOutage(durationMs)
      },
    })
  }

  #startOutage(durationMs: number): void {
    const change = (isOut: boolean): void => {
      this.setOutage(isOut).catch((error: unknown) => {
        // Only when another process has taken the port meanwhile: then the simulator stays away, and says so.
        process.emitWarning(`cannot end the outage: ${error instanceof Error ? error.message : 'not listening'}`)
      })
    }
    this.#outageTimer?.cancel()
    // Long enough for the answer to this request to leave.
    this.#outageTimer = this.#clock.setTimer(20, () => {
      change(true)
      this.#outageTimer = this.#clock.setTimer(durationMs, () => change(false))
    })
  }
}

interface Asked {
  /** Undefined: none is sent. */
  readonly answer: Answer | undefined
  readonly status?: number | undefined
  readonly token?: string | undefined
}

function deliveryOf(fault: Fault | undefined): Delivery {
  if (fault?.kind === 'drip') return { dripEveryMs: fault.everyMs }
  return fault?.kind === 'hangBody' || fault?.kind === 'truncate' ? fault.kind : 'whole'
}

function normalisePath(path: string): string {
  const bare = path.replace(/^\/+|\/+$/g, '')
  return bare === '' ? '' : `/${bare}`
}

function valueAt(json: unknown, name: string): unknown {
  return typeof json === 'object' && json !== null ? (json as Record<string, unknown>)[name] : undefined
}

function textAt(json: unknown, name: string): string | undefined {
  const value = valueAt(json, name)
  return typeof value === 'string' ? value : undefined
}

function numberAt(json: unknown, name: string): number | undefined {
  const value = valueAt(json, name)
  return typeof value === 'number' ? value : undefined
}
