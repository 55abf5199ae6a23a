import type { IncomingHttpHeaders } from 'node:http'
import type { Clock } from '../src/lib/clock.ts'
import type { ConsumerCalls, Verification } from './consumer-calls.ts'
import { type Answer, jsonAnswer } from './http-exchange.ts'
import type { RequiredHeaders } from './required-headers.ts'
import { apiSignatureOf } from './signature.ts'
import { parseTimestamp } from './token-request.ts'
import type { TokenService } from './token-service.ts'

export interface ConsumerRequest {
  readonly method: string
  /** Path and query as in the request line. */
  readonly target: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface ConsumerApiOptions {
  readonly clock: Clock
  readonly service: TokenService
  readonly calls: ConsumerCalls
  readonly requiredHeaders: RequiredHeaders
  /** The gateway's wall clock, in ms. */
  readonly wallMs: () => number
}

/** The ways to show a token that EnOS knows: a signed call, `apim-accesstoken` alone, and a bearer token. */
const expectedHeaders = 'expected the header apim-accesstoken or Authorization: Bearer'

/** An API behind the gateway, which accepts calls of consumers with a valid token. */
export class ConsumerApi {
  readonly #options: ConsumerApiOptions

  constructor(options: ConsumerApiOptions) {
    this.#options = options
  }

  /** @returns HTTP 200, or HTTP 401 with the problem in words; both without secrets */
  answer(request: ConsumerRequest): Answer {
    const { calls, clock, requiredHeaders } = this.#options
    const [path = '/'] = request.target.split('?')
    const denial = requiredHeaders.problemOf(request.headers)
    const result = denial === undefined ? this.#verify(request) : { problem: denial }
    if ('problem' in result) {
      calls.addRefused({ atMs: clock.now(), method: request.method, path, problem: result.problem })
      return jsonAnswer(401, { code: 401, message: result.problem })
    }
    calls.addAccepted(result.verification)
    return jsonAnswer(200, { code: 0, message: 'OK', data: { verification: result.verification } })
  }

  #verify(request: ConsumerRequest): { verification: Verification } | { problem: string } {
    const { authorization } = request.headers
    const token = headerOf(request, 'apim-accesstoken')
    if (token !== undefined && authorization !== undefined) {
      return { problem: `both apim-accesstoken and Authorization are present: ${expectedHeaders}` }
    }
    if (authorization !== undefined) {
      const bearer = /^bearer +([^ ]+)$/i.exec(authorization)?.[1]
      if (bearer === undefined) {
        return { problem: 'the header Authorization has another form: expected Bearer and a token' }
      }
      return problemOr(this.#tokenProblem(bearer), 'bearer')
    }
    if (token === undefined || token === '') {
      return { problem: `no token: ${expectedHeaders}` }
    }
    const [signature, timestamp] = [headerOf(request, 'apim-signature'), headerOf(request, 'apim-timestamp')]
    if (signature === undefined && timestamp === undefined) {
      return problemOr(this.#tokenProblem(token), 'token')
    }
    const signed = { request, token, signature, timestamp }
    return problemOr(this.#tokenProblem(token) ?? this.#signatureProblem(signed), 'signature')
  }

  #tokenProblem(token: string): string | undefined {
    const { clock, service } = this.#options
    if (service.isValid(token)) {
      return undefined
    }
    const expiresAt = service.expiresAt(token)
    return expiresAt === undefined
      ? 'the token is not valid: never issued, revoked, or replaced by a refresh'
      : `the token expired ${inSeconds(clock.now() - expiresAt)} s ago`
  }

  #signatureProblem({ request, signature, timestamp, token }: SignedCall): string | undefined {
    const { service, wallMs } = this.#options
    const { maxSkewMs } = service
    if (signature === undefined || timestamp === undefined) {
      const missing = signature === undefined ? 'apim-signature' : 'apim-timestamp'
      return `the header ${missing} is missing: expected apim-signature and apim-timestamp, or neither`
    }
    const timestampMs = parseTimestamp(timestamp)
    if (timestampMs === undefined) {
      return 'the header apim-timestamp is not valid: expected UNIX time in ms, digits only'
    }
    const skewMs = timestampMs - wallMs()
    if (maxSkewMs > 0 && Math.abs(skewMs) > maxSkewMs) {
      const direction = skewMs < 0 ? 'behind' : 'ahead of'
      const expected = `expected at most ${inSeconds(maxSkewMs)} s`
      return `the header apim-timestamp is ${inSeconds(Math.abs(skewMs))} s ${direction} the gateway's clock: ${expected}`
    }
    const appSecret = service.appSecretFor(token)
    const { body, target } = request
    if (appSecret === undefined || signature !== apiSignatureOf({ token, target, body, timestamp, appSecret })) {
      return (
        'the header apim-signature is wrong: expected lower-case hex of ' +
        'sha256(accessToken + sorted query parameters + body + timestamp + appSecret)'
      )
    }
    return undefined
  }
}

interface SignedCall {
  readonly request: ConsumerRequest
  readonly token: string
  readonly signature: string | undefined
  readonly timestamp: string | undefined
}

function problemOr(
  problem: string | undefined,
  verification: Verification,
): { verification: Verification } | { problem: string } {
  return problem === undefined ? { verification } : { problem }
}

/** A repeated header of this name arrives joined by commas, and then matches no token. */
function headerOf({ headers }: ConsumerRequest, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}

function inSeconds(ms: number): string {
  return (ms / 1000).toFixed(1)
}
