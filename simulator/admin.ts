import { z } from 'zod'
import type { Clock } from '../src/lib/clock.ts'
import type { CallLog } from './call-log.ts'
import type { ConsumerCalls } from './consumer-calls.ts'
import { type FaultRule, faultRulesSchema, type Faults } from './faults.ts'
import { type Answer, jsonAnswer } from './http-exchange.ts'
import { type RequiredHeaders, requiredHeadersSchema } from './required-headers.ts'
import { fingerprintOf } from './signature.ts'
import type { ApplicationKeys, TokenService } from './token-service.ts'

export const adminPath = '/simulator/'

export interface AdminParts {
  readonly clock: Clock
  readonly service: TokenService
  readonly calls: CallLog
  readonly consumerCalls: ConsumerCalls
  readonly faults: Faults
  readonly requiredHeaders: RequiredHeaders
  readonly latencyMs: () => number
  /** Starts an outage of this length after the answer has been sent. */
  readonly startOutage: (durationMs: number) => void
}

const applicationSchema = z.strictObject({ appKey: z.string().min(1), appSecret: z.string().min(1) })
const revokeSchema = z.strictObject({ appKey: z.string() })
const isValidSchema = z.strictObject({ token: z.string() })
const outageSchema = z.strictObject({ seconds: z.number().positive().max(86_400) })

/** The administration of the simulator over HTTP. No answer holds a token or an appSecret. */
export class Admin {
  readonly #parts: AdminParts

  constructor(parts: AdminParts) {
    this.#parts = parts
  }

  /** @param json the parsed body; undefined where the body is not JSON */
  answer(method: string, path: string, json: unknown): Answer {
    const { calls, requiredHeaders, service } = this.#parts
    switch (`${method} ${path}`) {
      case 'GET /simulator/calls':
        return jsonAnswer(200, { calls: calls.list() })
      case 'GET /simulator/consumer-calls':
        return jsonAnswer(200, this.#consumerCalls())
      case 'GET /simulator/applications':
        return jsonAnswer(200, { applications: service.appKeys().map((appKey) => this.#application(appKey)) })
      case 'GET /simulator/state':
        return jsonAnswer(200, this.#state())
      case 'PUT /simulator/faults':
        return withBody(faultRulesSchema, json, (rules) => this.#setFaults(rules))
      case 'PUT /simulator/outage':
        return withBody(outageSchema, json, ({ seconds }) => {
          this.#parts.startOutage(seconds * 1000)
          return jsonAnswer(202, { seconds })
        })
      case 'PUT /simulator/required-headers':
        return withBody(requiredHeadersSchema, json, (values) => {
          requiredHeaders.set(values)
          return jsonAnswer(200, { requiredHeaders: requiredHeaders.names })
        })
      case 'PUT /simulator/applications':
        return withBody(applicationSchema, json, (keys) => this.#addApplication(keys))
      case 'POST /simulator/revoke':
        return withBody(revokeSchema, json, ({ appKey }) => this.#revoke(appKey))
      case 'POST /simulator/is-valid':
        return withBody(isValidSchema, json, ({ token }) => this.#isValid(token))
      default:
        return jsonAnswer(404, { error: `${method} ${path} does not exist` })
    }
  }

  #application(appKey: string): unknown {
    const token = this.#parts.service.currentToken(appKey)
    if (token === undefined) return { appKey, valid: false }
    return { appKey, fingerprint: fingerprintOf(token), ...this.#validity(token) }
  }

  #consumerCalls(): unknown {
    const { accepted, refusals, refused } = this.#parts.consumerCalls
    return { accepted, refused, refusals }
  }

  #state(): unknown {
    const { calls, clock, consumerCalls, faults, latencyMs, requiredHeaders, service } = this.#parts
    return {
      nowMs: clock.now(),
      edition: service.edition,
      lifetimeSeconds: service.lifetimeSeconds,
      hasRefresh: service.hasRefresh,
      latencyMs: latencyMs(),
      faults: faults.rules(),
      requiredHeaders: requiredHeaders.names,
      applications: service.appKeys().length,
      calls: calls.size,
      consumerCalls: { accepted: consumerCalls.accepted, refused: consumerCalls.refused },
    }
  }

  #setFaults(rules: readonly FaultRule[]): Answer {
    this.#parts.faults.set(rules)
    return jsonAnswer(200, { faults: rules.length })
  }

  #addApplication(keys: ApplicationKeys): Answer {
    try {
      this.#parts.service.addApplication(keys)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      return jsonAnswer(409, { error: error.message })
    }
    return jsonAnswer(200, this.#application(keys.appKey))
  }

  #revoke(appKey: string): Answer {
    const { service } = this.#parts
    if (!service.appKeys().includes(appKey)) return jsonAnswer(404, { error: 'no application has this appKey' })
    service.revoke(appKey)
    return jsonAnswer(200, this.#application(appKey))
  }

  #isValid(token: string): Answer {
    return jsonAnswer(200, this.#validity(token))
  }

  #validity(token: string): { valid: boolean; secondsLeft: number } {
    const { clock, service } = this.#parts
    const leftMs = (service.expiresAt(token) ?? 0) - clock.now()
    return { valid: service.isValid(token), secondsLeft: Math.max(0, leftMs / 1000) }
  }
}

function withBody<T>(schema: z.ZodType<T>, json: unknown, act: (body: T) => Answer): Answer {
  const parsed = schema.safeParse(json)
  if (parsed.success) return act(parsed.data)
  const [issue] = parsed.error.issues
  return jsonAnswer(400, { error: `${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'invalid'}` })
}
