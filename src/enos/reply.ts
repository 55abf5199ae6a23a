import { z } from 'zod'
import { Sensitive } from '../lib/sensitive.ts'

/** More than a year is no lifetime of a token, and would be past what a date can be trusted with. */
const maxExpireSeconds = 366 * 24 * 3600
const maxTokenLength = 16 * 1024

const tokenSchema = z
  .string()
  .min(1)
  .max(maxTokenLength)
  // A token goes into an HTTP header of its consumers: visible ASCII.
  .regex(/^[\x21-\x7e]+$/)

const dataSchema = z.object({ accessToken: tokenSchema, expire: z.number().int().min(0).max(maxExpireSeconds) })

// Samples of the documentation misspell `status`; a refusal may come without data; the rest is of no interest.
const envelopeSchema = z
  .object({
    status: z.number().int().optional(),
    stauts: z.number().int().optional(),
    data: z.unknown().optional(),
  })
  .transform((reply) => ({ status: reply.status ?? reply.stauts, data: reply.data }))

/** What a body of the token service says. `problem` names what was found wrong, never a value of it. */
export type Reply =
  | { readonly kind: 'token'; readonly token: Sensitive; readonly expireMs: number }
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'unexpected'; readonly problem: string }

/** Reads the body of a reply; never throws. */
export function parseReply(body: string): Reply {
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch {
    // The parser's message quotes the text, which may hold a token.
    return { kind: 'unexpected', problem: 'the body is not JSON' }
  }
  const envelope = envelopeSchema.safeParse(json)
  if (!envelope.success || envelope.data.status === undefined) {
    return { kind: 'unexpected', problem: 'expected an object with a whole number in "status"' }
  }
  if (envelope.data.status !== 0) return { kind: 'status', status: envelope.data.status }
  const data = dataSchema.safeParse(envelope.data.data)
  if (!data.success) {
    const where = ['data', ...(data.error.issues[0]?.path ?? [])].join('.')
    return { kind: 'unexpected', problem: `with status 0, expected ${expectation(where)}` }
  }
  return { kind: 'token', token: new Sensitive(data.data.accessToken), expireMs: data.data.expire * 1000 }
}

function expectation(where: string): string {
  if (where === 'data.accessToken')
    return `a text of 1 to ${maxTokenLength} visible ASCII characters in "data.accessToken"`
  if (where === 'data.expire') return `whole seconds from 0 to ${maxExpireSeconds} in "data.expire"`
  return 'an object with accessToken and expire in "data"'
}
