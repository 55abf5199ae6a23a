import { fileURLToPath } from 'node:url'
import { afterAll, expect, inject } from 'vitest'
import { runToEnd } from '../support/run.ts'
import type { Keys } from './harness.ts'

/** The bundle that ships. */
export const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

export interface Given {
  readonly env?: NodeJS.ProcessEnv
  readonly input?: string
}

export type Command = (
  args: readonly string[],
  given?: Given,
) => Promise<{ code: number | null; stdout: string; stderr: string }>

/** Runs commands as cluster-admin, and scans all output for secrets at the end of the file. */
export function useCommands(): Command {
  let printed = ''
  afterAll(() => {
    expect(printed).not.toBe('')
    expect(printed).not.toMatch(/APP_PORTAL_S_|k3y-|s3cr3t-/)
  })
  return async (args, { env = {}, input = '' } = {}) => {
    const surroundings = { PATH: process.env['PATH'], KUBECONFIG: inject('adminKubeconfig'), ...env }
    const result = await runToEnd(process.execPath, [main, ...args], { env: surroundings, input })
    printed += result.stdout + result.stderr
    return result
  }
}

/** appKey and appSecret, for the environment of `check`. */
export const keysOf = ({ appKey, appSecret }: Keys): NodeJS.ProcessEnv => ({
  ENOS_APP_KEY: appKey,
  ENOS_APP_SECRET: appSecret,
})
