import type { z } from 'zod'
import { longestName, specSchema, statusSchema, type CredentialSpec, type CredentialStatus } from './schema.ts'

/** An EnosAppCredential as it was read, or what is wrong with it. */
export type ParsedSpec =
  { readonly ok: true; readonly spec: CredentialSpec } | { readonly ok: false; readonly problems: readonly string[] }

/** Reads a spec, with defaults applied. Problems name the field and what was expected; they quote no value. */
export function parseSpec(name: string, spec: unknown): ParsedSpec {
  const parsed = specSchema.safeParse(spec)
  const problems = parsed.success ? [] : parsed.error.issues.map(describe)
  if (name.length > longestName) problems.push(`metadata.name: at most ${longestName} characters`)
  return parsed.success && problems.length === 0 ? { ok: true, spec: parsed.data } : { ok: false, problems }
}

/** Reads a status. One that does not fit (somebody else wrote it) counts as none: everything is then looked at again. */
export function parseStatus(status: unknown): CredentialStatus {
  const parsed = statusSchema.safeParse(status ?? {})
  return parsed.success ? parsed.data : statusSchema.parse({})
}

/**
 * The form of a gateway's URL by which it is known: default port dropped, no slash at the end.
 * `https://Host:443/base/` → `https://host/base`
 */
export function normaliseGatewayUrl(url: string): string {
  const { origin, pathname } = new URL(url)
  return origin + pathname.replace(/\/+$/, '')
}

function describe({ path, message }: z.core.$ZodIssue): string {
  return `${['spec', ...path.map(String)].join('.')}: ${message}`
}
