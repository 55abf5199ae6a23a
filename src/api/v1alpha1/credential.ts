import type { z } from 'zod'
import { maxNameLength, specSchema, type CredentialSpec } from './schema.ts'
import { statusSchema, type CredentialStatus } from './status-schema.ts'

/** An EnosAppCredential as it was read, or what is wrong with it. */
export type ParsedSpec =
  { readonly ok: true; readonly spec: CredentialSpec } | { readonly ok: false; readonly problems: readonly string[] }

/** More would not fit into the message of a condition. */
const mostProblems = 16

/** Reads a spec, with defaults applied. Problems name the field and what was expected; they quote no value. */
export function parseSpec(name: string, spec: unknown): ParsedSpec {
  const parsed = specSchema.safeParse(spec)
  const issues = parsed.success ? [] : parsed.error.issues
  const problems = issues.slice(0, mostProblems).map(describe)
  if (issues.length > mostProblems) problems.push(`spec: ${issues.length - mostProblems} more problems`)
  if (parsed.success) problems.push(...droppedKeys(spec))
  if (name.length > maxNameLength) problems.push(`metadata.name: at most ${maxNameLength} characters`)
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
  return `${['spec', ...path.map(fieldName)].join('.')}: ${message}`
}

/** A key of a map is the user's text: what is not printable in one short line is not told. */
function fieldName(part: PropertyKey): string {
  const text = String(part).replaceAll(/[^\x21-\x7e]/g, '?')
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

/** zod's records leave out a key `__proto__` without a word; the user would wait for it in the Secret. */
function droppedKeys(spec: unknown): string[] {
  const { targets } = spec as { readonly targets: readonly Record<string, unknown>[] }
  return targets.flatMap((target, at) =>
    ['data', 'labels', 'annotations']
      .filter((field) => Object.hasOwn(target[field] ?? {}, '__proto__'))
      .map((field) => `spec.targets.${at}.${field}: the key __proto__ cannot be used`),
  )
}
