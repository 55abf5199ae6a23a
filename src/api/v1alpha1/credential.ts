import type { z } from 'zod'
import { describeIssue } from './issues.ts'
import { type CredentialSpec, maxNameLength, specSchema } from './schema.ts'
import { type CredentialStatus, statusSchema, unobservedGeneration } from './status-schema.ts'

/** A valid spec with defaults applied, or its problems. */
export type ParsedSpec =
  { readonly ok: true; readonly spec: CredentialSpec } | { readonly ok: false; readonly problems: readonly string[] }

/** The message of a condition has no room for more. */
const maxProblems = 16

/** Parses a spec and applies defaults. Problems name the field and the expected value; they quote no value. */
export function parseSpec(name: string, spec: unknown): ParsedSpec {
  const parsed = specSchema.safeParse(spec)
  const issues = parsed.success ? [] : firstByPath(parsed.error.issues)
  const problems = issues.slice(0, maxProblems).map(describe)
  if (issues.length > maxProblems) problems.push(`spec: ${issues.length - maxProblems} more problems`)
  if (parsed.success) problems.push(...droppedKeys(spec))
  if (name.length > maxNameLength) problems.push(`metadata.name: must be at most ${maxNameLength} characters`)
  return parsed.success && problems.length === 0 ? { ok: true, spec: parsed.data } : { ok: false, problems }
}

/** Parses a status. An invalid status (another client wrote it) counts as empty: the operator then verifies everything. */
export function parseStatus(status: unknown): CredentialStatus {
  const parsed = statusSchema.safeParse(status ?? {})
  if (!parsed.success) return statusSchema.parse({})
  const { observedGeneration, ...rest } = parsed.data
  return observedGeneration === unobservedGeneration ? rest : parsed.data
}

/**
 * Normalises the URL of a gateway, so that equal gateways have equal URLs: no default port, no slash at the end.
 * `https://Host:443/base/` → `https://host/base`
 */
export function normaliseGatewayUrl(url: string): string {
  const { origin, pathname } = new URL(url)
  return origin + pathname.replace(/\/+$/, '')
}

function describe(issue: z.core.$ZodIssue): string {
  return `${['spec', ...issue.path.map(fieldName)].join('.')}: ${describeIssue(issue)}`
}

/** A second issue of one field follows from the first. */
function firstByPath(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue[] {
  return [...Map.groupBy(issues, ({ path }) => JSON.stringify(path)).values()].flatMap((same) => same.slice(0, 1))
}

/** A key of a map is text of the user: a problem shows it printable and short. */
function fieldName(part: PropertyKey): string {
  const text = String(part).replaceAll(/[^\x21-\x7e]/g, '?')
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

/** zod's records drop a key `__proto__` silently; without this check it would never reach the Secret. */
function droppedKeys(spec: unknown): string[] {
  const { targets } = spec as { readonly targets: readonly Record<string, unknown>[] }
  return targets.flatMap((target, at) =>
    ['data', 'labels', 'annotations']
      .filter((field) => Object.hasOwn(target[field] ?? {}, '__proto__'))
      .map((field) => `spec.targets.${at}.${field}: the key __proto__ is not allowed`),
  )
}
