import type { Failure } from '../enos/failure.ts'
import type { Operation } from '../enos/operation.ts'
import type { CallResult } from '../enos/token-client.ts'
import { formatDuration } from '../lib/duration.ts'
import { joinNames } from '../lib/join-names.ts'
import { describeNetworkError, isTlsError } from '../lib/network-errors.ts'
import { describeOddForm } from '../lib/odd-form.ts'
import type { Sensitive } from '../lib/sensitive.ts'
import type { Certificate } from './certificate.ts'
import { adviceForFailure, adviceForReach, adviceForTls, type InputNames } from './check-advice.ts'
import { failed, ok, skipped, type Step, unchecked, unknown } from './check-steps.ts'

/** What the gateway answered, and what it was asked with. */
export interface Seen {
  readonly gatewayUrl: string
  readonly appKey: Sensitive
  readonly appSecret: Sensitive
  readonly get: CallResult
  /** Undefined: not tried. */
  readonly refresh: CallResult | undefined
  readonly isRefreshWanted: boolean
  /** How far the gateway's clock is ahead, in ms; undefined: the reply had no Date header. */
  readonly skewMs: number | undefined
  /** Of the gateway; undefined: none was seen. */
  readonly certificate: Certificate | undefined
  /** UNIX epoch, ms, by the wall clock. */
  readonly now: number
}

/** Beyond this skew a gateway may refuse timestamps. */
const maxSkewMs = 30_000
const dayMs = 86_400_000

/** The steps of a check, from the results of get and refresh. */
export function gatewaySteps(seen: Seen, names: InputNames): Step[] {
  const { get, isRefreshWanted, refresh, skewMs } = seen
  const failure = failureOf(get)
  const isReached = failure?.reason !== 'GatewayUnreachable'
  return [
    ...connectionSteps(seen, names),
    isReached ? clockStep(skewMs) : unknown('clock'),
    ...keySteps(seen, names),
    getStep(get, isReached, names),
    !isRefreshWanted
      ? skipped('refresh', 'not requested (--refresh): it replaces the token')
      : refresh === undefined
        ? unknown('refresh')
        : refreshStep(get, refresh, names),
  ]
}

/** Whether a refresh gave another token: a gateway may have revoked the one before. */
export function isTokenReplaced({ get, refresh }: Seen): boolean {
  return get.kind === 'token' && refresh?.kind === 'token' && !refresh.token.equals(get.token)
}

function connectionSteps({ certificate, gatewayUrl, get, now }: Seen, names: InputNames): Step[] {
  const isHttps = gatewayUrl.startsWith('https://')
  const failure = failureOf(get)
  const reached = ok('reach', `${gatewayUrl} is reachable`)
  const unencrypted = skipped('tls', 'http: appKey and token are sent unencrypted')
  if (failure?.reason !== 'GatewayUnreachable') {
    return [reached, isHttps ? ok('tls', `the certificate is trusted${describe(certificate, now)}`) : unencrypted]
  }
  const { cause = 'connection failed' } = failure
  if (cause === 'stopped') return [unchecked('reach', 'the check was stopped'), isHttps ? unknown('tls') : unencrypted]
  if (isHttps && isTlsError(cause)) {
    const hosts = certificate === undefined ? '' : `; valid for ${list(certificate.names)}`
    return [reached, failed('tls', `${describeNetworkError(cause)}${hosts}`, adviceForTls(cause, names))]
  }
  const text = cause === 'timed out' ? 'no answer in time' : describeNetworkError(cause)
  const advice = adviceForReach(cause, isHttps, names)
  return [failed('reach', `cannot reach ${gatewayUrl}: ${text}`, advice), isHttps ? unknown('tls') : unencrypted]
}

function keySteps({ appKey, appSecret, get }: Seen, names: InputNames): Step[] {
  const known = ok('appKey', 'known to the gateway')
  if (get.kind === 'token') return [known, ok('appSecret', 'belongs to the appKey')]
  const failure = failureOf(get)
  if (failure?.reason === 'AppKeyNotFound') {
    return [refused('appKey', failure, describeOddForm(appKey), names), unknown('appSecret')]
  }
  if (failure?.reason === 'InvalidAppSecret') {
    return [known, refused('appSecret', failure, describeOddForm(appSecret), names)]
  }
  return [unknown('appKey'), unknown('appSecret')]
}

function refused(step: 'appKey' | 'appSecret', failure: Failure, oddForm: string | undefined, names: InputNames): Step {
  const odd = oddForm === undefined ? '' : `; the value of ${names[step]} ${oddForm}`
  return failed(step, `${failure.message}${odd}`, adviceForFailure(failure, names))
}

function clockStep(skewMs: number | undefined): Step {
  if (skewMs === undefined) return skipped('clock', 'the reply has no Date header')
  const seconds = Math.round(skewMs / 1000)
  const difference = `${formatDuration(Math.abs(seconds) * 1000)} ${seconds < 0 ? 'behind' : 'ahead'}`
  if (Math.abs(skewMs) <= maxSkewMs) return ok('clock', `the gateway’s clock is ${difference}`)
  const advice = 'Synchronise the clocks: the gateway may refuse such timestamps.'
  return failed('clock', `the gateway’s clock is ${difference}`, advice)
}

function getStep(get: CallResult, isReached: boolean, names: InputNames): Step {
  if (!isReached) return unknown('get')
  const reason = failureOf(get)?.reason
  // Said once, with its advice: by the step of the value that is wrong.
  if (reason === 'AppKeyNotFound') return { step: 'get', result: 'failed', detail: 'no token: see appKey' }
  if (reason === 'InvalidAppSecret') return { step: 'get', result: 'failed', detail: 'no token: see appSecret' }
  return callStep('get', get, names)
}

function refreshStep(get: CallResult, refresh: CallResult, names: InputNames): Step {
  const step = callStep('refresh', refresh, names)
  if (step.result !== 'ok' || get.kind !== 'token' || refresh.kind !== 'token') return step
  const isSame = refresh.token.equals(get.token)
  const what = isSame
    ? 'the same token, prolonged'
    : 'another token: the gateway may have revoked the one before, so its consumers need the new one'
  return { ...step, detail: `${step.detail}; ${what}` }
}

function callStep(operation: Operation, result: CallResult, names: InputNames): Step {
  if (result.kind === 'token') return ok(operation, `token valid for ${formatDuration(result.expireMs)}`)
  if (result.kind === 'refreshMissing') {
    const advice = 'Keep renewalMethod Auto or set Get: a new token is then fetched when the old one expires.'
    return failed(operation, 'the gateway has no refresh (HTTP 404 or 405)', advice)
  }
  const { failure } = result
  if (failure.cause === 'stopped') return unchecked(operation, 'the check was stopped')
  return failed(operation, withoutAdvice(failure.message), adviceForFailure(failure, names))
}

/** The message ends with advice that names the field of a resource; the step has its own. */
function withoutAdvice(message: string): string {
  return message.replace(/[:;,] (?:check|give|name) [^:;,]*(?:, [^:;,]*)*spec\.gateway\.(?:url|caRef).*$/, '')
}

function failureOf(result: CallResult): Failure | undefined {
  return result.kind === 'failed' || result.kind === 'getAgain' ? result.failure : undefined
}

/** The end of a sentence about the certificate. */
function describe(certificate: Certificate | undefined, now: number): string {
  if (certificate === undefined) return ''
  const { expiresAtWall, names } = certificate
  const days = expiresAtWall === undefined ? undefined : Math.floor((expiresAtWall - now) / dayMs)
  const expires = days === undefined ? '' : `, expires in ${days} ${days === 1 ? 'day' : 'days'}`
  return `; valid for ${list(names)}${expires}`
}

function list(names: readonly string[]): string {
  if (names.length === 0) return 'no host'
  return joinNames(names)
}
