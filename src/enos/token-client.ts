import type { Dispatcher } from 'undici'
import type { Problem } from '../api/v1alpha1/problem.ts'
import type { Reason } from '../api/v1alpha1/reasons.ts'
import type { Clock } from '../lib/clock.ts'
import type { Sensitive } from '../lib/sensitive.ts'
import type { GatewayDispatchers } from './gateway-dispatchers.ts'
import { isDocumented, meaningOf } from './status-codes.ts'
import { parseReply } from './reply.ts'
import type { Operation } from './operation.ts'
import { signRequest } from './signature.ts'
import type { Timestamps } from './timestamps.ts'

/** Why a call brought no token. */
export interface Failure extends Problem {
  readonly class: 'userMustAct' | 'retry'
  /** How long the gateway asks to wait, in ms. */
  readonly retryAfterMs?: number
  /** Where no answer came: the code of the network or TLS error, such as ENOTFOUND. */
  readonly cause?: string
  /** It says nothing of the gateway: the caller does not trust its certificate, or gave it little time. */
  readonly isCallerSide?: boolean
}

/** What one call came to. A call never throws: whatever happened is one of these. */
export type CallResult =
  /** `expireMs` is what was left of the token's life at `sentAt` (monotonic clock) or a little later. */
  | { readonly kind: 'token'; readonly token: Sensitive; readonly expireMs: number; readonly sentAt: number }
  /** The token to refresh is no good any more: ask get. */
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
  /** `code`: the token service's status, or `http_503`, `unexpected`, or `error` where no answer came. */
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

const timedOut = 'timed out'
const path = '/apim-token-service/v2.0/token/'
/** A reply is some hundred bytes. */
const maxReplyBytes = 64 * 1024
/** Any gateway may fail to answer in less time than this. */
const shortTimeoutMs = 5000
/** What OpenSSL says of a chain that ends in no CA which the caller trusts, or in one of that name only. */
const distrust: ReadonlySet<string> = new Set([
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])
/** A replay (1001) is answered with a new timestamp this often; more means that something is wrong. */
const timestampTries = 3

/** The token service of a gateway: one call, its outcome. Knows no schedule and keeps no state. */
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
      if (tries === timestampTries) return { kind: 'failed', failure: failureOf(request, 1001) }
    }
  }

  async #callOnce(
    request: TokenRequest,
    deadlineAt: number,
    signal: AbortSignal,
  ): Promise<CallResult | 'newTimestamp'> {
    const { clock, observer } = this.#options
    const { operation } = request
    const { host } = new URL(request.gatewayUrl)
    const sentAt = clock.now()
    const answer = await this.#post(request, deadlineAt, signal)
    const observe = (code: string): void => {
      observer.onCall(host, operation, code, clock.now() - sentAt)
    }
    if (answer.kind === 'noAnswer') {
      observe('error')
      const { cause } = answer
      const message = `cannot reach ${request.gatewayUrl}: ${cause}`
      const isCallerSide = distrust.has(cause) || (cause === timedOut && request.timeoutMs < shortTimeoutMs)
      return { kind: 'failed', failure: { class: 'retry', reason: 'GatewayUnreachable', message, cause, isCallerSide } }
    }
    if (answer.skewMs !== undefined) observer.onClockSkew(host, answer.skewMs)
    const reply = answer.kind === 'tooLarge' ? undefined : parseReply(answer.body)

    // The outcome is the body's; an HTTP status says something only where the body does not. A server that knows no such
    // path may answer HTTP 404 with `"status":404`, which is no status of the token service.
    const isHttpSuccess = answer.status >= 200 && answer.status < 300
    if (reply?.kind === 'status' && (isHttpSuccess || isDocumented(reply.status))) {
      // Any other number is an outsider's: no label of a metric.
      observe(isDocumented(reply.status) ? String(reply.status) : 'unexpected')
      const { reaction } = meaningOf(reply.status)
      if (reaction === 'newTimestamp') return 'newTimestamp'
      const failure = failureOf(request, reply.status, answer.retryAfterMs)
      return reaction === 'getAgain' && operation === 'refresh'
        ? { kind: 'getAgain', failure }
        : { kind: 'failed', failure }
    }
    if (reply?.kind === 'token' && isHttpSuccess) {
      observe('0')
      return { kind: 'token', token: reply.token, expireMs: reply.expireMs, sentAt }
    }
    observe(isHttpSuccess ? 'unexpected' : `http_${answer.status}`)
    if (!isHttpSuccess) return httpFailure(request, answer)
    const problem = reply?.kind === 'unexpected' ? reply.problem : `the body is larger than ${maxReplyBytes} bytes`
    return failed('retry', 'UnexpectedReply', `${operation} at ${request.gatewayUrl}: ${problem}`)
  }

  async #post(request: TokenRequest, deadlineAt: number, signal: AbortSignal): Promise<Answer> {
    const { gatewayUrl, appKey, appSecret, ca, operation } = request
    const { clock, dispatchers, timestamps, userAgent } = this.#options
    const url = new URL(gatewayUrl)
    const aborter = new AbortController()
    const abort = (): void => {
      aborter.abort()
    }
    const timer = clock.setTimer(deadlineAt - clock.now(), abort)
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    try {
      const timestamp = await timestamps.next(appKey, aborter.signal)
      const wallSentAt = clock.wall()
      const response = await dispatchers.for({ ca, tlsServerName: undefined }).request({
        origin: url.origin,
        path: `${url.pathname.replace(/\/$/, '')}${path}${operation}`,
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json', 'user-agent': userAgent },
        body: JSON.stringify({
          appKey: appKey.reveal(),
          timestamp,
          encryption: signRequest(appKey, timestamp, appSecret),
          ...(operation === 'refresh' ? { accessToken: request.token.reveal() } : {}),
        }),
        signal: aborter.signal,
        // One deadline for all of the call, above.
        headersTimeout: 0,
        bodyTimeout: 0,
      })
      const head = {
        status: response.statusCode,
        skewMs: skewOf(response.headers.date, wallSentAt, clock.wall()),
        retryAfterMs: retryAfterOf(response.headers['retry-after'], clock.wall()),
      }
      const body = await readBody(response.body)
      return body === undefined ? { kind: 'tooLarge', ...head } : { kind: 'answer', body, ...head }
    } catch (error) {
      return {
        kind: 'noAnswer',
        cause: signal.aborted ? 'stopped' : aborter.signal.aborted ? timedOut : causeOf(error),
      }
    } finally {
      timer.cancel()
      signal.removeEventListener('abort', abort)
    }
  }
}

interface Head {
  readonly status: number
  readonly skewMs: number | undefined
  readonly retryAfterMs: number | undefined
}

type Answer =
  | ({ readonly kind: 'answer'; readonly body: string } & Head)
  | ({ readonly kind: 'tooLarge' } & Head)
  | { readonly kind: 'noAnswer'; readonly cause: string }

async function readBody(stream: Dispatcher.ResponseData['body']): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length
    // Leaving the loop destroys the stream, and with it the connection: nothing more is read.
    if (size > maxReplyBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function failed(failureClass: Failure['class'], reason: Reason, message: string, retryAfterMs?: number): CallResult {
  return {
    kind: 'failed',
    failure: { class: failureClass, reason, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
  }
}

function failureOf(request: TokenRequest, status: number, retryAfterMs?: number): Failure {
  const meaning = meaningOf(status)
  return {
    class: meaning.reaction === 'userMustAct' ? 'userMustAct' : 'retry',
    reason: meaning.reason,
    message: `${request.gatewayUrl} answered ${status}: ${meaning.description}`,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}

/** An HTTP error without a body of the token service: something before it answered, or nothing is there. */
function httpFailure(request: TokenRequest, { status, retryAfterMs }: Head): CallResult {
  const { operation } = request
  const seen = `${operation} at ${request.gatewayUrl}: HTTP ${status}`
  if (status === 404 && operation === 'refresh') return { kind: 'refreshMissing' }
  if (status >= 300 && status < 400) {
    return failed(
      'userMustAct',
      'UnexpectedReply',
      `${seen}, and redirects are not followed: give the final address in spec.gateway.url`,
    )
  }
  if (status === 429 || status >= 500) return failed('retry', 'GatewayError', seen, retryAfterMs)
  if (status === 404) {
    return failed(
      'userMustAct',
      'UnexpectedReply',
      `${seen}: no token service there; check host, port and base path of spec.gateway.url`,
    )
  }
  return failed(
    'userMustAct',
    'GatewayRejected',
    `${seen}: the request was refused before it reached the token service`,
  )
}

/** The machine-readable code of a network or TLS error; messages are left out, they may quote what was received. */
function causeOf(error: unknown): string {
  for (let current = error; current instanceof Error; current = current.cause) {
    if ('code' in current && typeof current.code === 'string') return current.code
    if (current instanceof AggregateError && current.errors.length > 0) return causeOf(current.errors[0])
  }
  return 'connection failed'
}

/** @returns ms that the server's clock is ahead; undefined without a readable Date header */
function skewOf(date: string | string[] | undefined, wallSentAt: number, wallReceivedAt: number): number | undefined {
  const served = typeof date === 'string' ? Date.parse(date) : Number.NaN
  // A Date header is cut to the second, so it lies half a second back on average.
  return Number.isNaN(served) ? undefined : served + 500 - (wallSentAt + wallReceivedAt) / 2
}

/** Retry-After, in seconds or as a date. */
function retryAfterOf(value: string | string[] | undefined, wall: number): number | undefined {
  if (typeof value !== 'string') return undefined
  const delayMs = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - wall
  return Number.isFinite(delayMs) && delayMs > 0 ? delayMs : undefined
}
