import { readFileSync } from 'node:fs'
import type { z } from 'zod'
import { UsageError } from './arguments.ts'

export interface JsonInput<T> {
  /** Path of the file; it takes precedence over the environment. */
  readonly file: string | undefined
  /** Option that names the file, for messages. */
  readonly option: string
  readonly variable: string
  readonly schema: z.ZodType<T>
  /** Expected form, in words. */
  readonly expected: string
}

/**
 * Loads JSON from a file, else from an environment variable. Its values may be secrets, which is why no option takes
 * them and no message quotes them.
 * @returns undefined where neither is given
 * @throws UsageError that names the option or variable, and the place of the first problem
 */
export function loadJson<T>(input: JsonInput<T>, environment: NodeJS.ProcessEnv): T | undefined {
  const { file, option, variable } = input
  if (file !== undefined) return parse(input, readTextFile(file, option), file)
  const text = environment[variable] ?? ''
  return text === '' ? undefined : parse(input, text, variable)
}

/** @throws UsageError that names the option and the file */
export function readTextFile(file: string, option: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    throw new UsageError(`${option}: cannot read ${file}: ${code}`)
  }
}

function parse<T>({ expected, schema }: JsonInput<T>, text: string, source: string): T {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    // The parser's message would quote the text.
    throw new UsageError(`${source}: not JSON`)
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const place = parsed.error.issues[0]?.path.join('.') ?? ''
  throw new UsageError(`${source}: expected ${expected}${place === '' ? '' : `; wrong at ${place}`}`)
}
