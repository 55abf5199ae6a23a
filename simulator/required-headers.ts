import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'
import type { Arguments } from './arguments.ts'
import { loadJson } from './json-input.ts'

const maxHeaders = 16

/** Values by name, at most 16; names are compared without regard to case. */
export const requiredHeadersSchema = z
  .record(
    z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'not a header name'),
    z.string().regex(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/, 'not a header value'),
  )
  .refine((values) => Object.keys(values).length <= maxHeaders, `expected at most ${maxHeaders} headers`)

export type HeaderValues = Readonly<Record<string, string>>

/** The headers that a proxy in front of the gateway demands, for example a subscription key. */
export class RequiredHeaders {
  #values: HeaderValues

  constructor(values: HeaderValues = {}) {
    this.#values = values
  }

  set(values: HeaderValues): void {
    this.#values = values
  }

  get names(): string[] {
    return Object.keys(this.#values)
  }

  /** @returns what is wrong with the first such header, in words and without values; undefined where all are right */
  problemOf(headers: IncomingHttpHeaders): string | undefined {
    for (const [name, value] of Object.entries(this.#values)) {
      const seen = headers[name.toLowerCase()]
      if (seen === undefined) return `access denied: the header ${name} is missing`
      if (seen !== value) return `access denied: the header ${name} has a wrong value`
    }
    return undefined
  }
}

/** @throws UsageError */
export function loadRequiredHeaders(
  { requiredHeaders }: Pick<Arguments, 'requiredHeaders'>,
  environment: NodeJS.ProcessEnv,
): HeaderValues | undefined {
  const input = {
    file: requiredHeaders,
    option: '--required-headers',
    variable: 'ENOS_SIMULATOR_REQUIRED_HEADERS',
    schema: requiredHeadersSchema,
    expected: 'an object of header values by header name',
  }
  return loadJson(input, environment)
}
