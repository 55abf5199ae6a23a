import { z } from 'zod'
import type { Operation } from './token-service.ts'

const maxRules = 1000
const bodyBytes = z
  .number()
  .int()
  .min(1)
  .max(128 * 1024 * 1024)
const milliseconds = z.number().int().min(0).max(3_600_000)

/**
 * A fault of one call. With `status`, `http`, `json`, `notHttp`, `reset` and `hang` the call never reaches the token
 * service, so no token changes. With the other kinds the token service acts and only its answer is altered: a refresh
 * has then happened.
 */
export const faultSchema = z.discriminatedUnion('kind', [
  /** Any status code of the token service, with HTTP 200. */
  z.strictObject({ kind: z.literal('status'), status: z.number().int() }),
  /** An answer of a proxy in front of the token service. */
  z.strictObject({
    kind: z.literal('http'),
    status: z.number().int().min(200).max(599),
    headers: z.record(z.string().regex(/^[A-Za-z0-9-]+$/), z.string().regex(/^[\x20-\x7e]*$/)).optional(),
    body: z.string().optional(),
  }),
  /** The same with a JSON body and HTTP 200, like `{"code": 99401}` or `{"message": "no Route matched"}`. */
  z.strictObject({
    kind: z.literal('json'),
    json: z.unknown(),
    status: z.number().int().min(200).max(599).optional(),
  }),
  /** Bytes that are not HTTP, by default the greeting of an SSH server; then the connection closes. */
  z.strictObject({ kind: z.literal('notHttp'), text: z.string().optional() }),
  /** The connection is reset without an answer. */
  z.strictObject({ kind: z.literal('reset') }),
  /** No answer, and the connection stays open. */
  z.strictObject({ kind: z.literal('hang') }),
  /** Half an answer, and the connection stays open. */
  z.strictObject({ kind: z.literal('hangBody') }),
  /** Half an answer, then the connection closes. */
  z.strictObject({ kind: z.literal('truncate') }),
  z.strictObject({ kind: z.literal('slow'), delayMs: milliseconds }),
  /** The right answer, one byte every `everyMs`. */
  z.strictObject({ kind: z.literal('drip'), everyMs: milliseconds }),
  /** The right answer, padded with spaces to this many bytes. */
  z.strictObject({
    kind: z.literal('large'),
    bytes: bodyBytes,
  }),
  /** The right answer with another `expire`. */
  z.strictObject({ kind: z.literal('expire'), value: z.unknown() }),
  /** The right answer with `status` and `expire` as strings. */
  z.strictObject({ kind: z.literal('strings') }),
  /** The right answer after a byte-order mark. */
  z.strictObject({ kind: z.literal('byteOrderMark') }),
  /** The right answer, compressed whatever the request accepts; `bytes` pads the answer with spaces before that. */
  z.strictObject({
    kind: z.literal('compress'),
    encoding: z.enum(['gzip', 'deflate', 'br']),
    bytes: bodyBytes.optional(),
  }),
  /** The right answer after a `100 Continue` that the request did not ask for. */
  z.strictObject({ kind: z.literal('continue') }),
  /** The right answer in HTTP/1.0, without Content-Length: the end of the connection ends the body. */
  z.strictObject({ kind: z.literal('http10') }),
  /** A refresh answers the same token with its unchanged expiry; get is not affected. */
  z.strictObject({ kind: z.literal('noProlong') }),
])

/** Which calls a fault applies to: without `operation` and `appKey` all, without `count` until the rule is replaced. */
export const faultRuleSchema = z.strictObject({
  operation: z.enum(['get', 'refresh']).optional(),
  appKey: z.string().optional(),
  count: z.number().int().min(1).optional(),
  fault: faultSchema,
})

/** All kinds of fault. */
export const faultKinds: readonly string[] = faultSchema.options.map(({ shape }) => shape.kind.value)

export const faultRulesSchema = z.array(faultRuleSchema).max(maxRules)

export type Fault = z.infer<typeof faultSchema>
export type FaultRule = Readonly<z.infer<typeof faultRuleSchema>>

/** The active faults. The first rule that matches a call applies; a rule whose count is used up is removed. */
export class Faults {
  /** At most `maxRules`. */
  #rules: { rule: FaultRule; remaining: number }[] = []

  /** @throws RangeError for more than 1,000 rules */
  set(rules: readonly FaultRule[]): void {
    if (rules.length > maxRules) throw new RangeError(`expected at most ${maxRules} rules, seen ${rules.length}`)
    this.#rules = rules.map((rule) => ({ rule, remaining: rule.count ?? Number.POSITIVE_INFINITY }))
  }

  /** The active rules, each with its remaining count. */
  rules(): FaultRule[] {
    return this.#rules.map(({ rule, remaining }) => (Number.isFinite(remaining) ? { ...rule, count: remaining } : rule))
  }

  /** The fault of this call; its rule counts down. */
  take(operation: Operation, appKey: string | undefined): Fault | undefined {
    const match = this.#rules.find(
      ({ rule }) =>
        (rule.operation === undefined || rule.operation === operation) &&
        (rule.appKey === undefined || rule.appKey === appKey),
    )
    if (match === undefined) return undefined
    match.remaining--
    if (match.remaining <= 0) this.#rules = this.#rules.filter((entry) => entry !== match)
    return match.rule.fault
  }
}
