import type { Clock } from '../lib/clock.ts'
import type { Sensitive } from '../lib/sensitive.ts'
import { type Failure, httpFailure, statusFailure, unexpectedReply, unreachable } from './failure.ts'
import type { GatewayDispatchers } from './gateway-dispatchers.ts'
import { type Answer, post } from './http-exchange.ts'
import type { Operation } from './operation.ts'
import { parseReply, type Reply } from './reply.ts'
import { signRequest } from './signature.ts'
import { isDocumented, meaningOf } from './status-codes.ts'
import type { Timestamps } from './timestamps.ts'

/** The outcome of one call. A call never throws. */
export type CallResult =
  /** `expireMs` is what was left of the token's life at `sentAt` (monotonic clock) or a little later. */
  | { readonly kind: 'token'; readonly token: Sensitive; readonly expireMs: number; readonly sentAt: number }
  /** The token to refresh is no longer valid: call get. */
  | { readonly kind: 'getAgain'; readonly failure: Failure }
  /** This gateway has no refresh. */
  | { readonly kind: 'refreshMissing' }
  | { readonly kind: 'failed'; readonly failure: Failure }

interface RequestBase {
  /** Normalised URL of the gateway: no trailing slash. */
  readonly gatewayUrl: string
  readonly appKey: Sensitive
  readonly appSecret: Sensitive
  /** Deadline of the whole call, in ms. */
  readonly timeoutMs: number
  /** CA certificates (PEM) to trust besides the system's. */
  readonly ca?: string
  /** The name to ask for and to find in the gateway's certificate, instead of the host of its URL. */
  readonly tlsServerName?: string
  /** Additional headers, for a server before the gateway; they replace ours of the same name. */
  readonly headers?: readonly (readonly [name: string, value: Sensitive])[]
}

export interface GetRequest extends RequestBase {
  readonly operation: 'get'
}

export interface RefreshRequest extends RequestBase {
  readonly operation: 'refresh'
  /** The token to refresh. */
  readonly token: Sensitive
}

export type TokenRequest = GetRequest | RefreshRequest

export interface TokenClientObserver {
  /**
   * @param code the token service's status; without one `http_503` and the like (`httpCode`), `unexpected`, or `error`
   *   when no answer came. A bounded set, whatever a gateway answers.
   */
  onCall(host: string, operation: Operation, code: string, durationMs: number): void
  /** How far the gateway's clock is ahead of ours, in ms, to about a second (the resolution of a Date header). */
  onClockSkew(host: string, skewMs: number): void
}

export interface TokenClientOptions {
  readonly dispatchers: Pick<GatewayDispatchers, 'for'>
  readonly clock: Clock
  readonly timestamps: Timestamps
  readonly observer: TokenClientObserver
  readonly userAgent: string
}

const path = '/apim-token-service/v2.0/token/'
/** Calls with new timestamps while the answer is 1001; more would hide a fault. */
const maxTimestampTries = 3
/** A gateway without refresh answers it with one of these, as the HTTP status or in the body. */
const missingStatuses: ReadonlySet<number> = new Set([404, 405])

type Outcome = { readonly code: string; readonly result: CallResult | 'newTimestamp' }

/** Calls the token service of a gateway. Knows no schedule and keeps no state but the used timestamps. */
export class TokenClient {
  readonly #options: TokenClientOptions

  constructor(options: TokenClientOptions) {
    this.#options = options
  }

  async call(request: TokenRequest, signal: AbortSignal): Promise<CallResult> {
    const deadlineAt = this.#options.clock.now() + request.timeoutMs
    for (let tries = 1; ; tries++) {
      const result = await this.#callOnce(request, deadlineAt, signal)
      if (result !== 'newTimestamp') return result
      if (tries === maxTimestampTries) return failed(statusFailure(request, 1001))
    }
  }

  async #callOnce(
    request: TokenRequest,
    deadlineAt: number,
    signal: AbortSignal,
  ): Promise<CallResult | 'newTimestamp'> {
    const { clock, observer } = this.#options
    const gateway = new URL(request.gatewayUrl)
    const { host } = gateway
    const sentAt = clock.now()
    const answer = await this.#post(request, gateway, deadlineAt, signal)
    const { code, result } = outcomeOf(request, answer, sentAt)
    observer.onCall(host, request.operation, code, clock.now() - sentAt)
    if ('skewMs' in answer && answer.skewMs !== undefined) observer.onClockSkew(host, answer.skewMs)
    return result
  }

  async #post(request: TokenRequest, gateway: URL, deadlineAt: number, signal: AbortSignal): Promise<Answer> {
    const { clock, dispatchers, timestamps, userAgent } = this.#options
    const { appKey, appSecret, ca, operation, tlsServerName } = request
    const url = { origin: gateway.origin, pathname: `${gateway.pathname.replace(/\/$/, '')}${path}${operation}` }
    const makeBody = async (stop: AbortSignal): Promise<string> => {
      const timestamp = await timestamps.next(appKey, stop)
      return JSON.stringify({
        appKey: appKey.reveal(),
        timestamp,
        encryption: signRequest(appKey, timestamp, appSecret),
        ...(operation === 'refresh' ? { accessToken: request.token.reveal() } : {}),
      })
    }
    const headers = headersOf(userAgent, request.headers ?? [])
    const dispatcher = dispatchers.for({ ca, tlsServerName }, deadlineAt - clock.now())
    return await post(dispatcher, clock, { url, headers, makeBody, deadlineAt }, signal)
  }
}

function headersOf(userAgent: string, additional: NonNullable<TokenRequest['headers']>): Record<string, string> {
  const headers = new Map<string, string>([
    ['content-type', 'application/json'],
    ['accept', 'application/json'],
    ['user-agent', userAgent],
  ])
  for (const [name, value] of additional) headers.set(name.toLowerCase(), value.reveal())
  return Object.fromEntries(headers)
}

function outcomeOf(request: TokenRequest, answer: Answer, sentAt: number): Outcome {
  switch (answer.kind) {
    case 'noAnswer':
      return { code: 'error', result: failed(unreachable(request, answer.cause)) }
    case 'notHttp':
      return { code: 'unexpected', result: failed(unexpectedReply(request, answer.problem)) }
    case 'unreadable': {
      const reply = { kind: 'unexpected', problem: answer.problem, code: undefined } as const
      return replyOutcome(request, answer, reply, sentAt)
    }
    case 'answer':
      return replyOutcome(request, answer, parseReply(answer.body), sentAt)
  }
}

interface Head {
  readonly status: number
  readonly retryAfterMs: number | undefined
}

/** The outcome is in the body; the HTTP status counts only where the body has none of the token service's. */
function replyOutcome(request: TokenRequest, head: Head, reply: Reply, sentAt: number): Outcome {
  const isHttpSuccess = head.status >= 200 && head.status < 300
  if (reply.kind === 'status' && isDocumented(reply.status)) return statusOutcome(request, head, reply.status)
  if (reply.kind === 'token' && isHttpSuccess) {
    return { code: '0', result: { kind: 'token', token: reply.token, expireMs: reply.expireMs, sentAt } }
  }
  return { code: isHttpSuccess ? 'unexpected' : httpCode(head.status), result: refusal(request, head, reply) }
}

/** The result of a reply that is neither a token nor a documented status. */
function refusal(request: TokenRequest, head: Head, reply: Reply): CallResult {
  const isHttpSuccess = head.status >= 200 && head.status < 300
  const bodyStatus = reply.kind === 'status' ? reply.status : undefined
  const bodyCode = reply.kind === 'unexpected' ? reply.code : undefined
  const seen = isHttpSuccess ? (bodyStatus ?? bodyCode?.value) : head.status
  if (request.operation === 'refresh' && seen !== undefined && missingStatuses.has(seen)) {
    return { kind: 'refreshMissing' }
  }
  if (!isHttpSuccess) return failed(httpFailure(request, { ...head, code: bodyCode }))
  if (bodyStatus !== undefined) return failed(statusFailure(request, bodyStatus, head.retryAfterMs))
  return failed(unexpectedReply(request, reply.kind === 'unexpected' ? reply.problem : ''))
}

function statusOutcome(request: TokenRequest, { retryAfterMs }: Head, status: number): Outcome {
  const { reaction } = meaningOf(status)
  const code = String(status)
  if (reaction === 'newTimestamp') return { code, result: 'newTimestamp' }
  const failure = statusFailure(request, status, retryAfterMs)
  const isGetAgain = reaction === 'getAgain' && request.operation === 'refresh'
  return { code, result: isGetAgain ? { kind: 'getAgain', failure } : failed(failure) }
}

function failed(failure: Failure): CallResult {
  return { kind: 'failed', failure }
}

/** Statuses with a label value of their own. */
const httpStatuses: ReadonlySet<number> = new Set([
  301, 302, 307, 308, 400, 401, 403, 404, 405, 407, 408, 413, 429, 500, 501, 502, 503, 504,
])

/** The label value of an HTTP status: `http_503`, or its class, `http_5xx`, so that a gateway cannot make up series. */
export function httpCode(status: number): string {
  if (httpStatuses.has(status)) return `http_${status}`
  return status >= 100 && status < 600 ? `http_${Math.trunc(status / 100)}xx` : 'http_other'
}
