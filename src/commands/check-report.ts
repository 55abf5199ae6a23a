import { type Reason, reasons } from '../api/v1alpha1/reasons.ts'
import type { CallResult, Failure, Operation } from '../enos/token-client.ts'
import { formatDuration } from '../lib/duration.ts'
import type { Certificate } from './certificate.ts'

/** One thing that was looked at, and what came of it. */
export interface Step {
  readonly step: 'resource' | 'sources' | 'reach' | 'tls' | 'clock' | 'appKey' | 'appSecret' | 'get' | 'refresh'
  /** `unknown`: something before it failed; `skipped`: it was not asked for, or is not used. */
  readonly result: 'ok' | 'failed' | 'unknown' | 'skipped'
  readonly detail: string
  /** Where it failed: what to do. */
  readonly advice?: string
}

/** What was seen of the gateway. */
export interface Seen {
  readonly gatewayUrl: string
  readonly get: CallResult
  /** Undefined: was not tried. */
  readonly refresh: CallResult | undefined
  readonly isRefreshWanted: boolean
  /** How far the gateway's clock is ahead, in ms; undefined: it did not say. */
  readonly skewMs: number | undefined
  /** With which it answered; undefined: it is not known. */
  readonly certificate: Certificate | undefined
  /** UNIX epoch, ms, by the wall clock. */
  readonly now: number
}

/** A difference of clocks that is worth a word: the gateway may refuse timestamps that are far off. */
const maxSkewMs = 30_000
const tlsCause = /CERT|SELF_SIGNED|TLS|SSL|UNABLE_TO|ISSUER|SIGNATURE|EPROTO/
const dayMs = 86_400_000
const mostNames = 5

/** The usual errors of networks, in words, and what to do; `cause` is what the runtime calls them. */
const unreachable: Readonly<Record<string, readonly [says: string, advice: string]>> = {
  ENOTFOUND: ['DNS knows no such host', 'Correct the host, or have it made known to the DNS that is used here.'],
  EAI_AGAIN: ['DNS does not answer', 'Try again; else look at the DNS that is used here.'],
  ECONNREFUSED: ['nothing listens there', 'Correct host and port, or have the gateway started.'],
  ECONNRESET: ['the connection was cut', 'Look at firewalls and proxies on the way, and whether the port speaks HTTP.'],
  UND_ERR_SOCKET: ['the connection was cut', 'Look at firewalls and proxies on the way.'],
  EHOSTUNREACH: ['there is no route to it', 'Look at the network, network policies and firewalls on the way.'],
  ENETUNREACH: ['there is no route to it', 'Look at the network, network policies and firewalls on the way.'],
  'timed out': ['it did not answer in time', 'Look at firewalls and network policies, or allow more by --timeout.'],
  UND_ERR_CONNECT_TIMEOUT: ['no connection in time', 'Look at firewalls, network policies and HTTPS_PROXY.'],
  UND_ERR_ABORTED: ['the proxy does not connect to it', 'Look at HTTPS_PROXY, NO_PROXY and the rules of the proxy.'],
  LINK_LOCAL_ADDRESS_REFUSED: ['link-local addresses are refused', 'Give the address of the gateway itself.'],
  stopped: ['it was stopped', 'Run it again.'],
}

/** What TLS finds wrong. Another cause: the CA. */
const untrusted: Readonly<Record<string, readonly [says: string, advice: string]>> = {
  CERT_HAS_EXPIRED: [
    'the certificate has expired',
    'Have it renewed by whoever runs the gateway; look at the clock here.',
  ],
  CERT_NOT_YET_VALID: ['the certificate is not valid yet', 'Look at the clock here, and ask whoever runs the gateway.'],
  ERR_TLS_CERT_ALTNAME_INVALID: ['the certificate is for other hosts', 'Use a host that the certificate is for.'],
  EPROTO: ['what answers speaks no TLS', 'Correct the port, or use http:// if that is what it speaks.'],
  ERR_SSL_WRONG_VERSION_NUMBER: [
    'what answers speaks no TLS',
    'Correct the port, or use http:// if that is what it speaks.',
  ],
  ERR_SSL_PACKET_LENGTH_TOO_LONG: [
    'what answers speaks no TLS',
    'Correct the port, or use http:// if that is what it speaks.',
  ],
}

/** What a get, and maybe a refresh, say of the gateway and the credential, one by one. */
export function gatewaySteps({ certificate, gatewayUrl, get, isRefreshWanted, now, refresh, skewMs }: Seen): Step[] {
  const failure = failureOf(get)
  const isHttps = gatewayUrl.startsWith('https://')
  const isTlsBroken = failure?.reason === 'GatewayUnreachable' && tlsCause.test(failure.cause ?? '')
  const isReached = failure?.reason !== 'GatewayUnreachable' || isTlsBroken
  const isAnswered = isReached && !isTlsBroken
  return [
    isReached ? ok('reach', `${gatewayUrl} can be reached`) : notReached(gatewayUrl, failure),
    !isHttps
      ? skipped('tls', 'http: appKey and token travel in clear')
      : isAnswered
        ? ok('tls', `the certificate is trusted${describe(certificate, now)}`)
        : isTlsBroken
          ? notTrusted(failure, certificate)
          : unknown('tls'),
    isAnswered ? clockStep(skewMs) : unknown('clock'),
    ...keySteps(get),
    callStep('get', get, isAnswered),
    !isRefreshWanted
      ? skipped('refresh', 'not asked for (--refresh); it may end the life of the present token')
      : refresh === undefined
        ? unknown('refresh')
        : callStep('refresh', refresh, true),
  ]
}

/** Something that went wrong before the gateway was asked. */
export function failedStep(step: Step['step'], detail: string, advice: string): Step {
  return { step, result: 'failed', detail, advice }
}

/** The same, where a condition of the resource would have this reason. */
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

/** For people: a line for each step, and below what failed, what to do. */
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
  return hasToken ? 'The gateway gives a token, but not all is well.' : 'The credential does not work.'
}

function keySteps(get: CallResult): Step[] {
  if (get.kind === 'token') return [ok('appKey', 'the gateway knows it'), ok('appSecret', 'it belongs to the appKey')]
  const failure = failureOf(get)
  if (failure?.reason === 'AppKeyNotFound') return [failed('appKey', failure), unknown('appSecret')]
  if (failure?.reason === 'InvalidAppSecret') {
    return [ok('appKey', 'the gateway knows it'), failed('appSecret', failure)]
  }
  return [unknown('appKey'), unknown('appSecret')]
}

function clockStep(skewMs: number | undefined): Step {
  if (skewMs === undefined) return skipped('clock', 'the gateway does not tell its time')
  const seconds = Math.round(skewMs / 1000)
  const difference = `${formatDuration(Math.abs(seconds) * 1000)} ${seconds < 0 ? 'behind' : 'ahead'}`
  if (Math.abs(skewMs) <= maxSkewMs) return ok('clock', `the gateway’s is ${difference}`)
  const advice = 'Synchronise the clocks: the gateway may refuse timestamps that are far off.'
  return failedStep('clock', `the gateway’s is ${difference}`, advice)
}

function callStep(operation: Operation, result: CallResult, isAnswered: boolean): Step {
  if (!isAnswered) return unknown(operation)
  if (result.kind === 'token') return ok(operation, `a token with ${formatDuration(result.expireMs)} to live`)
  if (result.kind === 'refreshMissing') {
    const advice = 'Leave renewalMethod at Auto, or set it to Get: tokens are then renewed as they expire.'
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
  const advice = 'Look at the host, firewalls, network policies and HTTPS_PROXY.'
  const [says, whatToDo] = unreachable[cause] ?? ['no answer', advice]
  return failedStep('reach', `cannot reach ${gatewayUrl}: ${says} (${cause})`, whatToDo)
}

function notTrusted(failure: Failure | undefined, certificate: Certificate | undefined): Step {
  const cause = failure?.cause ?? ''
  const advice = 'Trust the CA of the gateway, by spec.gateway.caRef or --ca-file.'
  const [says, whatToDo] = untrusted[cause] ?? ['the certificate is not trusted', advice]
  const names = certificate === undefined ? '' : `; it is for ${list(certificate.names)}`
  return failedStep('tls', `${says} (${cause})${names}`, whatToDo)
}

/** As the end of a sentence about the certificate. */
function describe(certificate: Certificate | undefined, now: number): string {
  if (certificate === undefined) return ''
  const { expiresAtWall, names } = certificate
  const days = expiresAtWall === undefined ? undefined : Math.floor((expiresAtWall - now) / dayMs)
  const expires = days === undefined ? '' : `, expires in ${days} ${days === 1 ? 'day' : 'days'}`
  return `; it is for ${list(names)}${expires}`
}

function list(names: readonly string[]): string {
  if (names.length === 0) return 'no host by name'
  const more = names.length > mostNames ? ` and ${names.length - mostNames} more` : ''
  return `${names.slice(0, mostNames).join(', ')}${more}`
}

function unknown(step: Step['step']): Step {
  return { step, result: 'unknown', detail: 'not known: see what failed before' }
}

function skipped(step: Step['step'], detail: string): Step {
  return { step, result: 'skipped', detail }
}
