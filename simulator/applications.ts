import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { type Arguments, UsageError } from './arguments.ts'
import type { ApplicationKeys } from './token-service.ts'

const environmentName = 'ENOS_SIMULATOR_APPLICATIONS'
const listSchema = z.array(z.strictObject({ appKey: z.string().min(1), appSecret: z.string().min(1) }))

export interface Applications {
  readonly list: readonly ApplicationKeys[]
  /** Those of them that were made up here: nobody else knows their secrets. */
  readonly generated: readonly ApplicationKeys[]
}

/**
 * The applications to start with: given ones, or generated ones where none are given.
 * @throws UsageError
 */
export function readApplications(
  { applications, generate, anyApplication }: Pick<Arguments, 'applications' | 'generate' | 'anyApplication'>,
  environment: NodeJS.ProcessEnv,
): Applications {
  const given = environment[environmentName]
  const list =
    applications !== undefined
      ? parseList(readText(applications, '--applications'), applications)
      : given !== undefined && given !== ''
        ? parseList(given, environmentName)
        : undefined
  const isEnough = list !== undefined || anyApplication === true
  const generated = Array.from({ length: generate ?? (isEnough ? 0 : 1) }, () => ({
    appKey: `sim-${randomBytes(8).toString('hex')}`,
    appSecret: randomBytes(24).toString('base64url'),
  }))
  return { list: [...(list ?? []), ...generated], generated }
}

/** @throws UsageError that names the option and the file */
export function readText(file: string, option: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'not readable'
    throw new UsageError(`${option}: cannot read ${file}: ${code}`)
  }
}

/** Messages name the place, never what stands there: it may be a secret. */
function parseList(text: string, where: string): ApplicationKeys[] {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    // The parser's message quotes the text.
    throw new UsageError(`${where}: not JSON`)
  }
  const parsed = listSchema.safeParse(json)
  if (parsed.success) return parsed.data
  const place = parsed.error.issues[0]?.path.join('.') ?? ''
  throw new UsageError(
    `${where}: expected a list of objects with the texts appKey and appSecret${place === '' ? '' : `; look at ${place}`}`,
  )
}
