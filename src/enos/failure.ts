import type { Problem } from '../api/v1alpha1/problem.ts'
import type { Reason } from '../api/v1alpha1/reasons.ts'
import { describeNetworkError, isCutConnection } from '../lib/network-errors.ts'
import { describeOddForm } from '../lib/odd-form.ts'
import type { Sensitive } from '../lib/sensitive.ts'
import type { ForeignCode } from './reply.ts'
import { meaningOf } from './status-codes.ts'

/** Why a call returned no token. */
export interface Failure extends Problem {
  readonly class: 'userMustAct' | 'retry'
  /** How long the gateway asks to wait, in ms. */
  readonly retryAfterMs?: number
  /** Without an answer: the code of the network or TLS error, such as ENOTFOUND. */
  readonly cause?: string
  /** The status code that the token service answered. */
  readonly status?: number
  /** The HTTP status of an error that is none of the token service's: a server in front of it, or another one, answered. */
  readonly httpStatus?: number
  /** The failure says nothing about the gateway: the caller does not trust its certificate, or gave it little time. */
  readonly isCallerSide?: boolean
}

/** The parts of a request that messages name. */
export interface FailedRequest {
  readonly operation: 'get' | 'refresh'
  readonly gatewayUrl: string
  readonly timeoutMs: number
  /** Certificates of spec.gateway.caRef. */
  readonly ca?: string
}

/** The error when the call's deadline passed. */
export const timedOut = 'timed out'
const tlsHint = 'if the port serves TLS, use https://'
/** A timeout below this says nothing about a gateway. */
const shortTimeoutMs = 5000
/** Codes of OpenSSL for a chain that ends in no CA of the caller's, or in one that only has the same name. */
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
/** Refusals of keys or parameters that a get with the same keys would have had as well. */
const keyRefusals: ReadonlySet<number> = new Set([1002, 1003, 1004, 1202])

export function unreachable(request: FailedRequest, cause: string): Failure {
  const { gatewayUrl, timeoutMs } = request
  const isCallerSide = distrust.has(cause) || (cause === timedOut && timeoutMs < shortTimeoutMs)
  const isCode = /^[A-Z][A-Z0-9_]+$/.test(cause)
  const message = `cannot reach ${gatewayUrl}: ${isCode ? describeNetworkError(cause) : cause}${remedyFor(request, cause)}`
  return { class: 'retry', reason: 'GatewayUnreachable', message, cause, isCallerSide }
}

/** The cause lies in the spec, though a repaired gateway would do as well. */
function remedyFor({ ca, gatewayUrl }: FailedRequest, cause: string): string {
  if (distrust.has(cause)) {
    return ca === undefined
      ? '; name its CA in spec.gateway.caRef'
      : '; name its CA in spec.gateway.caRef: the certificates there did not sign it'
  }
  return isPlain(gatewayUrl) && isCutConnection(cause) ? `; ${tlsHint}` : ''
}

function isPlain(gatewayUrl: string): boolean {
  return gatewayUrl.startsWith('http:')
}

/** The failure of a status code of the token service. */
export function statusFailure({ gatewayUrl }: FailedRequest, status: number, retryAfterMs?: number): Failure {
  const { description, reaction, reason } = meaningOf(status)
  return {
    class: reaction === 'userMustAct' ? 'userMustAct' : 'retry',
    reason,
    message: `${gatewayUrl} answered ${status}: ${description}`,
    status,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}

/**
 * The failure of a refresh that follows a get which worked. A gateway that refuses the keys then does not mean the keys:
 * get has just accepted them.
 */
export function refreshFailureAfterGet(failure: Failure): Failure {
  if (failure.status === undefined || !keyRefusals.has(failure.status)) return failure
  const message = `${failure.message}; but get has just worked with the same keys, so that the fault is the gateway's`
  return { ...failure, class: 'retry', reason: 'GatewayError', message }
}

/** The failure, with what is odd about the form of the value that the gateway refused. The value is not shown. */
export function withOddForm(failure: Failure, appKey: Sensitive, appSecret: Sensitive): Failure {
  const refused = failure.status === 1002 ? 'appKey' : failure.status === 1003 ? 'appSecret' : undefined
  if (refused === undefined) return failure
  const oddForm = describeOddForm(refused === 'appKey' ? appKey : appSecret)
  return oddForm === undefined ? failure : { ...failure, message: `${failure.message}; the ${refused} ${oddForm}` }
}

export function unexpectedReply({ gatewayUrl, operation }: FailedRequest, problem: string): Failure {
  return { class: 'retry', reason: 'UnexpectedReply', message: `${operation} at ${gatewayUrl}: ${problem}` }
}

interface HttpError {
  readonly status: number
  readonly retryAfterMs: number | undefined
  readonly code: ForeignCode | undefined
}

/** The failure of an HTTP error whose body is none of the token service's: another server answered. */
export function httpFailure(request: FailedRequest, { code, retryAfterMs, status }: HttpError): Failure {
  const inBody = code === undefined ? '' : `, "${code.field}" ${code.value}`
  const seen = `${request.operation} at ${request.gatewayUrl}: HTTP ${status}${inBody}`
  const failed = (failureClass: Failure['class'], reason: Reason, advice: string): Failure => {
    return { class: failureClass, reason, message: `${seen}${advice}`, httpStatus: status }
  }
  if (status >= 300 && status < 400) {
    const advice = ', and redirects are not followed: give the final address in spec.gateway.url'
    return failed('userMustAct', 'UnexpectedReply', advice)
  }
  if (status === 429 || status >= 500) {
    return { ...failed('retry', 'GatewayError', ''), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
  }
  if (status === 404) {
    const advice = ': no token service there; check host, port and base path of spec.gateway.url'
    return failed('userMustAct', 'UnexpectedReply', advice)
  }
  // Servers answer plain HTTP on a TLS port with 400.
  const advice = status === 400 && isPlain(request.gatewayUrl) ? `; ${tlsHint}` : ''
  const rejected = ': the request was refused before it reached the token service'
  return failed('userMustAct', 'GatewayRejected', `${rejected}${advice}`)
}
