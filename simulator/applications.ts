import { randomBytes, randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { Arguments } from './arguments.ts'
import { loadJson } from './json-input.ts'
import type { ApplicationKeys } from './token-service.ts'

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
  const input = {
    file: applications,
    option: '--applications',
    variable: 'ENOS_SIMULATOR_APPLICATIONS',
    schema: listSchema,
    expected: 'a list of {appKey, appSecret}, both non-empty strings',
  }
  const list = loadJson(input, environment)
  const defaultCount = list !== undefined || anyApplication === true ? 0 : 1
  const generated = Array.from({ length: generate ?? defaultCount }, () => ({
    appKey: randomUUID(),
    appSecret: randomBytes(24).toString('base64url'),
  }))
  return { list: [...(list ?? []), ...generated], generated }
}
