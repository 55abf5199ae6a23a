import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { type Arguments, UsageError } from './arguments.ts'
import type { ApplicationKeys } from './token-service.ts'

const environmentName = 'ENOS_SIMULATOR_APPLICATIONS'
const listSchema = z.array(z.strictObject({ appKey: z.string().min(1), appSecret: z.string().min(1) }))

export interface Applications {
  readonly list: readonly ApplicationKeys[]
  /** The generated ones of the list. */
  readonly generated: readonly ApplicationKeys[]
}

/**
 * The applications to start with: from the file, else from the environment, else generated.
 * @throws UsageError
 */
export function loadApplications(
  { applications, generate, anyApplication }: Pick<Arguments, 'applications' | 'generate' | 'anyApplication'>,
  environment: NodeJS.ProcessEnv,
): Applications {
  const given = environment[environmentName]
  const list =
    applications !== undefined
      ? parseList(readTextFile(applications, '--applications'), applications)
      : given !== undefined && given !== ''
        ? parseList(given, environmentName)
        : undefined
  const defaultCount = list !== undefined || anyApplication === true ? 0 : 1
  const generated = Array.from({ length: generate ?? defaultCount }, () => ({
    appKey: randomUUID(),
    appSecret: randomBytes(24).toString('base64url'),
  }))
  return { list: [...(list ?? []), ...generated], generated }
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

/** Messages name the place only: the text in that place may be a secret. */
function parseList(text: string, where: string): ApplicationKeys[] {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    // The parser's message would quote the text.
    throw new UsageError(`${where}: not JSON`)
  }
  const parsed = listSchema.safeParse(json)
  if (parsed.success) return parsed.data
  const place = parsed.error.issues[0]?.path.join('.') ?? ''
  throw new UsageError(
    `${where}: expected a list of {appKey, appSecret}, both non-empty strings${place === '' ? '' : `; wrong at ${place}`}`,
  )
}
