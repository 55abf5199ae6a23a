import { type Reason, reasons } from '../api/v1alpha1/reasons.ts'
import type { CallResult, Failure, Operation } from '../enos/token-client.ts'
import { formatDuration } from '../lib/duration.ts'

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
}

/** A difference of clocks that is worth a word: the gateway may refuse timestamps that are far off. */
const largestSkewMs = 30_000
const tlsCause = /CERT|SELF_SIGNED|TLS|SSL|UNABLE_TO|ISSUER|SIGNATURE/

/** What a get, and maybe a refresh, say of the gateway and the credential, one by one. */
export function gatewaySteps({ gatewayUrl, get, isRefreshWanted, refresh, skewMs }: Seen): Step[] {
  const failure = failureOf(get)
  const isHttps = gatewayUrl.startsWith('https://')
  const isTlsBroken = failure?.reason === 'GatewayUnreachable' && tlsCause.test(failure.cause ?? '')
  const isReached = failure?.reason !== 'GatewayUnreachable' || isTlsBroken
  const isAnswered = isReached && !isTlsBroken
  return [
    isReached ? ok('reach', `${gatewayUrl} can be reached`) : failed('reach', failure),
    !isHttps
      ? skipped('tls', 'http: appKey and token travel in clear')
      : isAnswered
        ? ok('tls', 'the certificate is trusted')
        : isTlsBroken
          ? failed('tls', failure, 'Trust the CA of the gateway (spec.gateway.caRef, --ca-file), or correct the host.')
          : unknown('tls'),
    isAnswered ? clockStep(skewMs) : unknown('clock'),
    ...keySteps(get, isAnswered),
    callStep('get', get, isAnswered),
    !isRefreshWanted
      ? skipped('refresh', 'not asked for (--refresh); it may end the life of the present token')
      : refresh === undefined
        ? unknown('refresh')
        : callStep('refresh', refresh, true),
  ]
}

/** Something that went wrong before the gateway was asked. */
export function failedStep(step: Step['step'], detail: string, reason: Reason): Step {
  return { step, result: 'failed', detail, advice: reasons[reason].whatToDo }
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
  const conclusion = isGood(steps) ? 'The credential works.' : 'The credential does not work.'
  return `${[...lines, '', conclusion].join('\n')}\n`
}

function keySteps(get: CallResult, isAnswered: boolean): Step[] {
  if (get.kind === 'token') return [ok('appKey', 'the gateway knows it'), ok('appSecret', 'it belongs to the appKey')]
  const failure = failureOf(get)
  if (isAnswered && failure?.reason === 'AppKeyNotFound') return [failed('appKey', failure), unknown('appSecret')]
  if (isAnswered && failure?.reason === 'InvalidAppSecret') {
    return [ok('appKey', 'the gateway knows it'), failed('appSecret', failure)]
  }
  return [unknown('appKey'), unknown('appSecret')]
}

function clockStep(skewMs: number | undefined): Step {
  if (skewMs === undefined) return skipped('clock', 'the gateway does not tell its time')
  const seconds = Math.round(skewMs / 1000)
  const difference = `${formatDuration(Math.abs(seconds) * 1000)} ${seconds < 0 ? 'behind' : 'ahead'}`
  if (Math.abs(skewMs) <= largestSkewMs) return ok('clock', `the gateway’s is ${difference}`)
  return {
    step: 'clock',
    result: 'failed',
    detail: `the gateway’s is ${difference}`,
    advice: 'Synchronise the clocks: the gateway may refuse timestamps that are far off.',
  }
}

function callStep(operation: Operation, result: CallResult, isAnswered: boolean): Step {
  if (!isAnswered) return unknown(operation)
  if (result.kind === 'token') return ok(operation, `a token with ${formatDuration(result.expireMs)} to live`)
  if (result.kind === 'refreshMissing') {
    return {
      step: operation,
      result: 'failed',
      detail: 'the gateway has no refresh (HTTP 404)',
      advice: 'Leave renewalMethod at Auto, or set it to Get: tokens are then renewed as they expire.',
    }
  }
  return failed(operation, result.failure)
}

function failureOf(result: CallResult): Failure | undefined {
  return result.kind === 'failed' || result.kind === 'getAgain' ? result.failure : undefined
}

function failed(step: Step['step'], failure: Failure | undefined, advice?: string): Step {
  const whatToDo = advice ?? (failure === undefined ? undefined : reasons[failure.reason].whatToDo)
  const detail = failure?.message ?? 'no answer'
  return { step, result: 'failed', detail, ...(whatToDo === undefined ? {} : { advice: whatToDo }) }
}

function unknown(step: Step['step']): Step {
  return { step, result: 'unknown', detail: 'not known: see what failed before' }
}

function skipped(step: Step['step'], detail: string): Step {
  return { step, result: 'skipped', detail }
}
