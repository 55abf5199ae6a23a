import { type Reason, reasons } from '../api/v1alpha1/reasons.ts'
import type { Operation } from '../enos/operation.ts'
import type { CallResult, Failure } from '../enos/token-client.ts'
import { formatDuration } from '../lib/duration.ts'
import type { Certificate } from './certificate.ts'

/** One step of a check and its result. */
export interface Step {
  readonly step: 'resource' | 'sources' | 'reach' | 'tls' | 'clock' | 'appKey' | 'appSecret' | 'get' | 'refresh'
  /** `unknown`: a step before it failed; `skipped`: not requested or not applicable. */
  readonly result: 'ok' | 'failed' | 'unknown' | 'skipped'
  readonly detail: string
  /** What to do about a failed step. */
  readonly advice?: string
}

/** What the gateway answered. */
export interface Seen {
  readonly gatewayUrl: string
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
const tlsCause = /CERT|SELF_SIGNED|TLS|SSL|UNABLE_TO|ISSUER|SIGNATURE|EPROTO/
const dayMs = 86_400_000
const maxNames = 5

/** Network errors in words, and what to do; by Node's error code. */
const unreachable: Readonly<Record<string, readonly [text: string, advice: string]>> = {
  ENOTFOUND: ['unknown host', 'Correct the host, or add it to the DNS that this machine uses.'],
  EAI_AGAIN: ['DNS does not answer', 'Try again; then check the DNS that this machine uses.'],
  ECONNREFUSED: ['connection refused', 'Correct host and port, or start the gateway.'],
  ECONNRESET: ['connection reset', 'Check firewalls and proxies on the way, and that the port serves HTTP.'],
  UND_ERR_SOCKET: ['connection closed', 'Check firewalls and proxies on the way.'],
  EHOSTUNREACH: ['no route to host', 'Check the network, network policies and firewalls on the way.'],
  ENETUNREACH: ['no route to host', 'Check the network, network policies and firewalls on the way.'],
  'timed out': ['no answer in time', 'Check firewalls and network policies, or raise --timeout.'],
  UND_ERR_CONNECT_TIMEOUT: ['no connection in time', 'Check firewalls, network policies and HTTPS_PROXY.'],
  UND_ERR_ABORTED: ['the proxy refuses to connect', 'Check HTTPS_PROXY, NO_PROXY and the rules of the proxy.'],
  LINK_LOCAL_ADDRESS_REFUSED: ['link-local addresses are refused', 'Use the address of the gateway itself.'],
  stopped: ['the check was stopped', 'Run it again.'],
}

/** TLS errors in words, and what to do. All others: the CA is not trusted. */
const untrusted: Readonly<Record<string, readonly [text: string, advice: string]>> = {
  CERT_HAS_EXPIRED: [
    'the certificate has expired',
    'Have the gateway’s certificate renewed; check the clock of this machine.',
  ],
  CERT_NOT_YET_VALID: [
    'the certificate is not valid yet',
    'Check the clock of this machine and the gateway’s certificate.',
  ],
  ERR_TLS_CERT_ALTNAME_INVALID: [
    'the certificate is valid for other hosts',
    'Use a host for which the certificate is valid.',
  ],
  EPROTO: ['the port does not serve TLS', 'Correct the port, or use http:// if the gateway serves it.'],
  ERR_SSL_WRONG_VERSION_NUMBER: [
    'the port does not serve TLS',
    'Correct the port, or use http:// if the gateway serves it.',
  ],
  ERR_SSL_PACKET_LENGTH_TOO_LONG: [
    'the port does not serve TLS',
    'Correct the port, or use http:// if the gateway serves it.',
  ],
}

/** The steps of a check, from the results of get and refresh. */
export function gatewaySteps({ certificate, gatewayUrl, get, isRefreshWanted, now, refresh, skewMs }: Seen): Step[] {
  const failure = failureOf(get)
  const isHttps = gatewayUrl.startsWith('https://')
  const isTlsBroken = failure?.reason === 'GatewayUnreachable' && tlsCause.test(failure.cause ?? '')
  const isReached = failure?.reason !== 'GatewayUnreachable' || isTlsBroken
  const isAnswered = isReached && !isTlsBroken
  return [
    isReached ? ok('reach', `${gatewayUrl} is reachable`) : notReached(gatewayUrl, failure),
    !isHttps
      ? skipped('tls', 'http: appKey and token are sent unencrypted')
      : isAnswered
        ? ok('tls', `the certificate is trusted${describe(certificate, now)}`)
        : isTlsBroken
          ? notTrusted(failure, certificate)
          : unknown('tls'),
    isAnswered ? clockStep(skewMs) : unknown('clock'),
    ...keySteps(get),
    callStep('get', get, isAnswered),
    !isRefreshWanted
      ? skipped('refresh', 'not requested (--refresh): it replaces the token')
      : refresh === undefined
        ? unknown('refresh')
        : callStep('refresh', refresh, true),
  ]
}

/** A failure. */
export function failedStep(step: Step['step'], detail: string, advice: string): Step {
  return { step, result: 'failed', detail, advice }
}

/** A failure for which a condition of the resource has this reason. */
export function failedBecause(step: Step['step'], detail: string, reason: Reason): Step {
  return failedStep(step, detail, reasons[reason].whatToDo)
}

export function ok(step: Step['step'], detail: string): Step {
  return { step, result: 'ok', detail }
}

export function isGood(steps: readonly Step[]): boolean {
  return steps.every(({ result }) => result === 'ok' || result === 'skipped')
}

const marks: Readonly<Record<Step['result'], string>> = { ok: 'ok', failed: 'FAILED', unknown: '?', skipped: '-' }

/** The report as text: a line for each step, the advice below a failed one. */
export function renderSteps(steps: readonly Step[]): string {
  const lines = steps.flatMap(({ advice, detail, result, step }) => {
    const line = `${marks[result].padEnd(6)}  ${step.padEnd(9)}  ${detail}`
    return advice === undefined ? [line] : [line, `${' '.repeat(19)}${advice}`]
  })
  return `${[...lines, '', conclusionOf(steps)].join('\n')}\n`
}

function conclusionOf(steps: readonly Step[]): string {
  if (isGood(steps)) return 'The credential works.'
  const hasToken = steps.some(({ result, step }) => step === 'get' && result === 'ok')
  return hasToken ? 'The gateway returns a token, but a step failed.' : 'The credential does not work.'
}

function keySteps(get: CallResult): Step[] {
  if (get.kind === 'token') return [ok('appKey', 'known to the gateway'), ok('appSecret', 'belongs to the appKey')]
  const failure = failureOf(get)
  if (failure?.reason === 'AppKeyNotFound') return [failed('appKey', failure), unknown('appSecret')]
  if (failure?.reason === 'InvalidAppSecret') {
    return [ok('appKey', 'known to the gateway'), failed('appSecret', failure)]
  }
  return [unknown('appKey'), unknown('appSecret')]
}

function clockStep(skewMs: number | undefined): Step {
  if (skewMs === undefined) return skipped('clock', 'the reply has no Date header')
  const seconds = Math.round(skewMs / 1000)
  const difference = `${formatDuration(Math.abs(seconds) * 1000)} ${seconds < 0 ? 'behind' : 'ahead'}`
  if (Math.abs(skewMs) <= maxSkewMs) return ok('clock', `the gateway’s clock is ${difference}`)
  const advice = 'Synchronise the clocks: the gateway may refuse such timestamps.'
  return failedStep('clock', `the gateway’s clock is ${difference}`, advice)
}

function callStep(operation: Operation, result: CallResult, isAnswered: boolean): Step {
  if (!isAnswered) return unknown(operation)
  if (result.kind === 'token') return ok(operation, `token valid for ${formatDuration(result.expireMs)}`)
  if (result.kind === 'refreshMissing') {
    const advice = 'Keep renewalMethod Auto or set Get: a new token is then fetched when the old one expires.'
    return failedStep(operation, 'the gateway has no refresh (HTTP 404)', advice)
  }
  return failed(operation, result.failure)
}

function failureOf(result: CallResult): Failure | undefined {
  return result.kind === 'failed' || result.kind === 'getAgain' ? result.failure : undefined
}

function failed(step: Step['step'], { message, reason }: Failure): Step {
  return failedBecause(step, message, reason)
}

function notReached(gatewayUrl: string, failure: Failure | undefined): Step {
  const cause = failure?.cause ?? ''
  const advice = 'Check the host, firewalls, network policies and HTTPS_PROXY.'
  const [text, whatToDo] = unreachable[cause] ?? ['no connection', advice]
  return failedStep('reach', `cannot reach ${gatewayUrl}: ${text} (${cause})`, whatToDo)
}

function notTrusted(failure: Failure | undefined, certificate: Certificate | undefined): Step {
  const cause = failure?.cause ?? ''
  const advice = 'Trust the CA of the gateway with spec.gateway.caRef or --ca-file.'
  const [text, whatToDo] = untrusted[cause] ?? ['the certificate is not trusted', advice]
  const names = certificate === undefined ? '' : `; valid for ${list(certificate.names)}`
  return failedStep('tls', `${text} (${cause})${names}`, whatToDo)
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
  const more = names.length > maxNames ? ` and ${names.length - maxNames} more` : ''
  return `${names.slice(0, maxNames).join(', ')}${more}`
}

function unknown(step: Step['step']): Step {
  return { step, result: 'unknown', detail: 'unknown: a step above failed' }
}

function skipped(step: Step['step'], detail: string): Step {
  return { step, result: 'skipped', detail }
}
