import { readFile } from 'node:fs/promises'
import { text as readText } from 'node:stream/consumers'
import { normaliseGatewayUrl, parseSpec } from '../api/v1alpha1/credential.ts'
import { certificatesProblem } from '../lib/pem.ts'
import { Sensitive } from '../lib/sensitive.ts'
import type { InputNames } from './check-advice.ts'
import type { CheckRequest } from './check-gateway.ts'
import { type CommandContext, UsageError } from './context.ts'

const appKeyVariable = 'ENOS_APP_KEY'
const appSecretVariable = 'ENOS_APP_SECRET'

/** A gateway and a credential given by flags. */
export interface TypedOptions {
  readonly gateway: string
  readonly appKeyFile?: string
  readonly appSecretFile?: string
  readonly caFile?: string
  readonly allowInsecureHttp?: boolean
}

/**
 * Reads the request from flags, environment and standard input. No flag holds a secret.
 * @throws UsageError
 */
export async function typedRequest(
  context: CommandContext,
  { allowInsecureHttp = false, appKeyFile, appSecretFile, caFile, gateway }: TypedOptions,
  timeoutMs = 10_000,
): Promise<CheckRequest> {
  if (appKeyFile === '-' && appSecretFile === '-') {
    throw new UsageError('--app-key-file and --app-secret-file cannot both read standard input')
  }
  refuseGateway(gateway, allowInsecureHttp)
  const ca = caFile === undefined ? undefined : await readCa(caFile)
  return {
    gatewayUrl: normaliseGatewayUrl(gateway),
    appKey: await secretOf(context, '--app-key-file', appKeyFile, appKeyVariable),
    appSecret: await secretOf(context, '--app-secret-file', appSecretFile, appSecretVariable),
    timeoutMs,
    ...(ca === undefined ? {} : { ca }),
  }
}

/** The flags and variables of the request. */
export function typedNames({ appKeyFile, appSecretFile }: TypedOptions): InputNames {
  return {
    url: '--gateway',
    timeout: '--timeout',
    ca: '--ca-file',
    appKey: appKeyFile === undefined ? appKeyVariable : '--app-key-file',
    appSecret: appSecretFile === undefined ? appSecretVariable : '--app-secret-file',
    headers: '--header-file',
  }
}

/** Applies the rules that the resource has for a gateway. */
function refuseGateway(url: string, allowInsecureHTTP: boolean): void {
  const rest = { appKeyRef: { name: 'x' }, appSecretRef: { name: 'x' }, targets: [{ name: 'y' }] }
  const parsed = parseSpec('x', { ...rest, gateway: { url, allowInsecureHTTP } })
  if (parsed.ok) return
  const problem = (parsed.problems[0] ?? '').replace(/^spec\.gateway(?:\.url)?: /, '')
  throw new UsageError(`--gateway: ${problem.replace('allowInsecureHTTP: true', '--allow-insecure-http')}`)
}

async function readCa(file: string): Promise<string> {
  const ca = await contentOf('--ca-file', file)
  const problem = certificatesProblem(ca)
  if (problem !== undefined) throw new UsageError(`--ca-file: ${file} ${problem}`)
  return ca
}

async function secretOf(
  { environment, stdin }: CommandContext,
  flag: string,
  file: string | undefined,
  variable: string,
): Promise<Sensitive> {
  const given =
    file === undefined ? environment[variable] : file === '-' ? await readText(stdin) : await contentOf(flag, file)
  const value = (given ?? '').replace(/[\r\n]+$/, '')
  if (value !== '') return new Sensitive(value)
  throw new UsageError(file === undefined ? `${variable} is not set: set it or give ${flag}` : `${flag} is empty`)
}

async function contentOf(flag: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    // Without the name: the user may have typed the secret itself.
    throw new UsageError(`${flag}: cannot read the file (${why})`)
  }
}
