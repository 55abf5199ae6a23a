import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Clock, sleep } from '../src/lib/clock.ts'
import type { Call, CallLog } from './call-log.ts'
import type { Fault, Faults } from './faults.ts'
import { type Answer, deliver, type Delivery, jsonAnswer, reset } from './http-exchange.ts'
import { answerOf } from './reply-faults.ts'
import type { RequiredHeaders } from './required-headers.ts'
import { fingerprintOf } from './signature.ts'
import type { Operation, ServiceReply, TokenService } from './token-service.ts'

export interface TokenEndpointOptions {
  readonly clock: Clock
  readonly service: TokenService
  readonly calls: CallLog
  readonly faults: Faults
  readonly requiredHeaders: RequiredHeaders
  /** The gateway's wall clock, in ms. */
  readonly wallMs: () => number
  readonly latencyMs: () => number
}

const sshGreeting = 'SSH-2.0-OpenSSH_9.6\r\n'

/** What the token service and a fault make of a call. */
interface Outcome {
  /** Undefined where nothing is answered. */
  readonly answer: Answer | undefined
  readonly status?: number | undefined
  readonly token?: string | undefined
}

/** Get and refresh over HTTP: applies faults and latency, and logs each call. */
export class TokenEndpoint {
  readonly #options: TokenEndpointOptions

  constructor(options: TokenEndpointOptions) {
    this.#options = options
  }

  /**
   * @param json the parsed body; undefined where the body is not JSON
   * @throws when the client goes away before its answer
   */
  async serve(operation: Operation, json: unknown, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { calls, clock, faults, latencyMs, requiredHeaders, wallMs } = this.#options
    const appKey = stringAt(json, 'appKey')
    const denial = requiredHeaders.problemOf(request.headers)
    const fault = denial === undefined ? faults.take(operation, appKey) : undefined
    const outcome =
      denial === undefined ? this.#call(operation, json, fault) : { answer: jsonAnswer(401, { message: denial }) }
    calls.add(callOf(operation, appKey, { atMs: clock.now(), fault, outcome }))
    // The delay comes after the token service's answer: a reply is that old when the client receives it.
    const delayMs = latencyMs() + (fault?.kind === 'slow' ? fault.delayMs : 0)
    if (delayMs > 0) await this.#delay(delayMs, response)
    if (outcome.answer !== undefined) deliver(response, outcome.answer, wallMs(), deliveryOf(fault))
    else if (fault?.kind === 'reset') reset(request)
    else if (fault?.kind === 'notHttp') request.socket.end(fault.text ?? sshGreeting)
  }

  #call(operation: Operation, json: unknown, fault: Fault | undefined): Outcome {
    switch (fault?.kind) {
      case 'reset':
      case 'hang':
      case 'notHttp':
        return { answer: undefined }
      case 'http':
        return { answer: { httpStatus: fault.status, headers: fault.headers, body: fault.body ?? '' } }
      case 'json':
        return { answer: jsonAnswer(fault.status ?? 200, fault.json ?? null) }
      default: {
        const reply = this.#reply(operation, json, fault)
        const status = numberAt(reply.json, 'status')
        const token = stringAt(valueAt(reply.json, 'data'), 'accessToken')
        return { answer: answerOf(reply, fault), status, token }
      }
    }
  }

  #reply(operation: Operation, json: unknown, fault: Fault | undefined): ServiceReply {
    const { service } = this.#options
    if (fault?.kind === 'status') return service.refusal(fault.status)
    if (fault?.kind === 'noProlong' && operation === 'refresh') return service.refresh(json, false)
    return service[operation](json)
  }

  /** Rejects when the client closes the connection. */
  async #delay(delayMs: number, response: ServerResponse): Promise<void> {
    const closed = new AbortController()
    const abort = (): void => closed.abort()
    response.once('close', abort)
    try {
      await sleep(this.#options.clock, delayMs, closed.signal)
    } finally {
      response.off('close', abort)
    }
  }
}

interface CallResult {
  readonly atMs: number
  readonly fault: Fault | undefined
  readonly outcome: Outcome
}

function callOf(operation: Operation, appKey: string | undefined, { atMs, fault, outcome }: CallResult): Call {
  const { answer, status, token } = outcome
  return {
    operation,
    appKey,
    atMs,
    status,
    httpStatus: answer?.httpStatus,
    fingerprint: token === undefined ? undefined : fingerprintOf(token),
    fault: fault?.kind,
  }
}

function deliveryOf(fault: Fault | undefined): Delivery {
  if (fault?.kind === 'drip') return { dripEveryMs: fault.everyMs }
  switch (fault?.kind) {
    case 'hangBody':
    case 'truncate':
    case 'continue':
    case 'http10':
      return fault.kind
    default:
      return 'whole'
  }
}

function valueAt(json: unknown, name: string): unknown {
  return typeof json === 'object' && json !== null ? (json as Record<string, unknown>)[name] : undefined
}

function stringAt(json: unknown, name: string): string | undefined {
  const value = valueAt(json, name)
  return typeof value === 'string' ? value : undefined
}

function numberAt(json: unknown, name: string): number | undefined {
  const value = valueAt(json, name)
  return typeof value === 'number' ? value : undefined
}
