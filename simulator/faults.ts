import { z } from 'zod'
import type { Operation } from './token-service.ts'

const milliseconds = z.number().int().min(0).max(3_600_000)

/**
 * What goes wrong with a call. With `status`, `http`, `reset` and `hang` the call does not reach the token service, so
 * nothing changes there. With the others it does, and only its answer is spoilt: a refresh has then happened.
 */
export const faultSchema = z.discriminatedUnion('kind', [
  /** Any status of the token service, over HTTP 200. */
  z.strictObject({ kind: z.literal('status'), status: z.number().int() }),
  /** An answer of something before the token service. */
  z.strictObject({
    kind: z.literal('http'),
    status: z.number().int().min(200).max(599),
    headers: z.record(z.string().regex(/^[A-Za-z0-9-]+$/), z.string().regex(/^[\x20-\x7e]*$/)).optional(),
    body: z.string().optional(),
  }),
  /** The connection is reset without an answer. */
  z.strictObject({ kind: z.literal('reset') }),
  /** No answer, and the connection stays open. */
  z.strictObject({ kind: z.literal('hang') }),
  /** Half an answer, and the connection stays open. */
  z.strictObject({ kind: z.literal('hangBody') }),
  /** Half an answer, then the connection closes. */
  z.strictObject({ kind: z.literal('truncate') }),
  z.strictObject({ kind: z.literal('slow'), delayMs: milliseconds }),
  /** The right answer, a byte at a time, with so long between them. */
  z.strictObject({ kind: z.literal('drip'), everyMs: milliseconds }),
  /** The right answer, filled up with blanks to this many bytes. */
  z.strictObject({
    kind: z.literal('large'),
    bytes: z
      .number()
      .int()
      .min(1)
      .max(128 * 1024 * 1024),
  }),
  /** The right answer with another `expire`. */
  z.strictObject({ kind: z.literal('expire'), value: z.unknown() }),
])

/** Whom a fault strikes; without `operation` and `appKey` everybody, without `count` until it is taken away. */
export const faultRuleSchema = z.strictObject({
  operation: z.enum(['get', 'refresh']).optional(),
  appKey: z.string().optional(),
  count: z.number().int().min(1).optional(),
  fault: faultSchema,
})

export type Fault = z.infer<typeof faultSchema>
export type FaultRule = Readonly<z.infer<typeof faultRuleSchema>>

/** The faults in force. Of the rules that match a call the first strikes; a rule whose count is used up is gone. */
export class Faults {
  #rules: { rule: FaultRule; left: number }[] = []

  set(rules: readonly FaultRule[]): void {
    this.#rules = rules.map((rule) => ({ rule, left: rule.count ?? Number.POSITIVE_INFINITY }))
  }

  /** The rules in force, each with the count that is left. */
  rules(): FaultRule[] {
    return this.#rules.map(({ rule, left }) => (Number.isFinite(left) ? { ...rule, count: left } : rule))
  }

  /** The fault that strikes this call, counted as used. */
  take(operation: Operation, appKey: string | undefined): Fault | undefined {
    const match = this.#rules.find(
      ({ rule }) =>
        (rule.operation === undefined || rule.operation === operation) &&
        (rule.appKey === undefined || rule.appKey === appKey),
    )
    if (match === undefined) return undefined
    match.left--
    if (match.left <= 0) this.#rules = this.#rules.filter((entry) => entry !== match)
    return match.rule.fault
  }
}
