import type { TokenService } from '../../../simulator/token-service.ts'
import type { Failure } from '../../../src/enos/failure.ts'
import type { Operation } from '../../../src/enos/operation.ts'
import { parseReply } from '../../../src/enos/reply.ts'
import { signRequest } from '../../../src/enos/signature.ts'
import { meaningOf } from '../../../src/enos/status-codes.ts'
import type { Timestamps } from '../../../src/enos/timestamps.ts'
import type { CallResult, TokenRequest } from '../../../src/enos/token-client.ts'
import type { Log } from '../../../src/lib/log.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { createLogger } from '../../../src/telemetry/logger.ts'
import type { FakeClock } from '../../support/fake-clock.ts'

export interface Call {
  readonly operation: Operation
  readonly at: number
  /** The token to be refreshed. */
  readonly token: string | undefined
  readonly timeoutMs: number
}

/** A token client that records its calls and answers with `answer`. */
export class ScriptedClient {
  readonly calls: Call[] = []
  readonly #clock: FakeClock
  answer: (operation: Operation, request: TokenRequest) => CallResult | Promise<CallResult>

  constructor(clock: FakeClock, answer: ScriptedClient['answer']) {
    this.#clock = clock
    this.answer = answer
  }

  get operations(): Operation[] {
    return this.calls.map((call) => call.operation)
  }

  async call(request: TokenRequest): Promise<CallResult> {
    const { operation, timeoutMs } = request
    const token = request.operation === 'refresh' ? request.token.reveal() : undefined
    this.calls.push({ operation, at: this.#clock.now(), token, timeoutMs })
    return await this.answer(operation, request)
  }
}

/** A client of the simulated token service, without HTTP. @param timestamps where they matter to the test */
export function clientOf(clock: FakeClock, serviceOf: () => TokenService, timestamps?: Timestamps): ScriptedClient {
  const { signal } = new AbortController()
  let last = 0
  return new ScriptedClient(clock, async (operation, request) => {
    const { appKey, appSecret } = request
    // Time may stand still in a test.
    last = Math.max(last + 1, Math.trunc(clock.wall()))
    const timestamp = timestamps === undefined ? last : await timestamps.next(appKey, signal)
    const encryption = signRequest(appKey, timestamp, appSecret)
    const accessToken = request.operation === 'refresh' ? request.token.reveal() : undefined
    const body = { appKey: appKey.reveal(), timestamp, encryption, accessToken }
    const { httpStatus, json } = operation === 'get' ? serviceOf().get(body) : serviceOf().refresh(body)
    if (httpStatus === 404) return { kind: 'refreshMissing' }
    const reply = parseReply(JSON.stringify(json))
    if (reply.kind === 'token') return { ...reply, sentAt: clock.now() }
    if (reply.kind === 'unexpected') throw new Error(reply.problem)
    const { reaction, reason } = meaningOf(reply.status)
    if (reaction === 'getAgain' && operation === 'refresh') return { kind: 'getAgain', failure: failure({ reason }) }
    return { kind: 'failed', failure: failure({ class: reaction === 'userMustAct' ? reaction : 'retry', reason }) }
  })
}

export function failure(overrides: Partial<Failure> = {}): Failure {
  return { class: 'retry', reason: 'GatewayError', message: 'the gateway said no', ...overrides }
}

export function tokenResult(clock: FakeClock, value: string, expireMs: number): CallResult {
  return { kind: 'token', token: new Sensitive(value), expireMs, sentAt: clock.now() }
}

/** A log whose lines are kept. */
export function readableLog(): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  return { log: createLogger({ level: 'trace', format: 'json', destination }), lines }
}
