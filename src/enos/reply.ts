import { z } from 'zod'
import { Sensitive } from '../lib/sensitive.ts'

/** A longer life is refused: a date that far away is a fault of the gateway. */
const maxExpireSeconds = 366 * 24 * 3600
const maxTokenLength = 16 * 1024

const tokenSchema = z
  .string()
  .min(1)
  .max(maxTokenLength)
  // A token goes into an HTTP header of its consumers: visible ASCII.
  .regex(/^[\x21-\x7e]+$/)

/** A whole number, also as text: some servers quote their numbers. */
const integerSchema = z.union([
  z.number().int(),
  z
    .string()
    .regex(/^-?[0-9]{1,15}$/)
    .transform(Number),
])

const dataSchema = z.object({
  accessToken: tokenSchema,
  expire: integerSchema.pipe(z.number().min(0).max(maxExpireSeconds)),
})

// Samples of the documentation misspell `status`; a refusal may come without data; other fields are ignored.
const envelopeSchema = z
  .object({
    status: integerSchema.optional(),
    stauts: integerSchema.optional(),
    data: z.unknown().optional(),
  })
  .transform((reply) => ({ status: reply.status ?? reply.stauts, data: reply.data }))

/** Where servers before the token service have the number of their error. */
const codeFields = ['code', 'apim_status', 'errorCode'] as const
const codeSchema = integerSchema.pipe(z.number().min(-999_999).max(999_999))
const foreignSchema = z.record(z.string(), z.unknown())

/** The error number of a server that is not the token service, and its field. */
export interface ForeignCode {
  readonly field: string
  readonly value: number
}

/** The content of a reply's body. */
export type Reply =
  | { readonly kind: 'token'; readonly token: Sensitive; readonly expireMs: number }
  | { readonly kind: 'status'; readonly status: number }
  /** `problem` names what was found wrong and quotes nothing but `code`, an error number of another server. */
  | { readonly kind: 'unexpected'; readonly problem: string; readonly code: ForeignCode | undefined }

/** Parses the body of a reply; never throws. */
export function parseReply(body: string): Reply {
  let json: unknown
  try {
    json = JSON.parse(body.replace(/^\uFEFF/, ''))
  } catch {
    // The parser's message quotes the text, which may hold a token.
    return unexpected('the body is not JSON')
  }
  const envelope = envelopeSchema.safeParse(json)
  if (!envelope.success || envelope.data.status === undefined) return notOfTheService(json)
  const { data, status } = envelope.data
  if (status !== 0) return { kind: 'status', status }
  const parsed = dataSchema.safeParse(data)
  if (!parsed.success) {
    const where = ['data', ...(parsed.error.issues[0]?.path ?? [])].join('.')
    return unexpected(`with status 0, expected ${expectation(where)}`)
  }
  return { kind: 'token', token: new Sensitive(parsed.data.accessToken), expireMs: parsed.data.expire * 1000 }
}

function notOfTheService(json: unknown): Reply {
  const fields = foreignSchema.safeParse(json).data ?? {}
  for (const field of codeFields) {
    const value = Object.hasOwn(fields, field) ? codeSchema.safeParse(fields[field]).data : undefined
    if (value === undefined) continue
    const problem = `no reply of the token service, but "${field}" ${value}: expected a whole number in "status"`
    return unexpected(problem, { field, value })
  }
  return unexpected('no reply of the token service: expected an object with a whole number in "status"')
}

function unexpected(problem: string, code?: ForeignCode): Reply {
  return { kind: 'unexpected', problem, code }
}

function expectation(where: string): string {
  if (where === 'data.accessToken') {
    return `a text of 1 to ${maxTokenLength} visible ASCII characters in "data.accessToken"`
  }
  if (where === 'data.expire') return `whole seconds from 0 to ${maxExpireSeconds} in "data.expire"`
  return 'an object with accessToken and expire in "data"'
}
