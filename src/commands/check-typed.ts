import { readFile } from 'node:fs/promises'
import { text as readText } from 'node:stream/consumers'
import { normaliseGatewayUrl, parseSpec } from '../api/v1alpha1/credential.ts'
import { headersSchema } from '../api/v1alpha1/headers-schema.ts'
import { certificatesProblem } from '../lib/pem.ts'
import { Sensitive } from '../lib/sensitive.ts'
import type { InputNames } from './check-advice.ts'
import type { CheckRequest } from './check-gateway.ts'
import type { CommandContext } from './context.ts'
import { UsageError } from './errors.ts'

/** As of spec.gateway.headersFrom. */
const maxHeaderBytes = 8 * 1024
const maxHeadersBytes = 16 * 1024
export const appKeyVariable = 'ENOS_APP_KEY'
export const appSecretVariable = 'ENOS_APP_SECRET'

/** A gateway and a credential given by flags. */
export interface TypedOptions {
  readonly gateway: string
  readonly appKeyFile?: string
  readonly appSecretFile?: string
  readonly caFile?: string
  readonly tlsServerName?: string
  readonly allowInsecureHttp?: boolean
  /** NAME=FILE each. */
  readonly headerFile?: readonly string[]
}

/**
 * Reads the request from flags, environment and standard input. No flag holds a secret.
 * @throws UsageError
 */
export async function typedRequest(
  context: CommandContext,
  options: TypedOptions,
  timeoutMs = 10_000,
): Promise<CheckRequest> {
  const { appKeyFile, appSecretFile, caFile, gateway, headerFile = [], tlsServerName } = options
  const headerFiles = headerFile.map(parseHeaderFile)
  const readers = [
    ...(appKeyFile === '-' ? ['--app-key-file'] : []),
    ...(appSecretFile === '-' ? ['--app-secret-file'] : []),
    ...headerFiles.flatMap(({ file, name }) => (file === '-' ? [`--header-file ${name}`] : [])),
  ]
  if (readers.length > 1) throw new UsageError(`${readers.slice(0, 2).join(' and ')} cannot both read standard input`)
  refuseGateway(options)
  refuseHeaders(headerFiles)
  const ca = caFile === undefined ? undefined : await readCa(caFile)
  return {
    gatewayUrl: normaliseGatewayUrl(gateway),
    appKey: await secretOf(context, { flag: '--app-key-file', file: appKeyFile, variable: appKeyVariable }),
    appSecret: await secretOf(context, { flag: '--app-secret-file', file: appSecretFile, variable: appSecretVariable }),
    timeoutMs,
    ...(ca === undefined ? {} : { ca }),
    ...(tlsServerName === undefined ? {} : { tlsServerName }),
    ...(headerFiles.length === 0 ? {} : { headers: await readHeaders(context, headerFiles) }),
  }
}

interface HeaderFile {
  readonly name: string
  readonly file: string
}

/** The value is not quoted: the user may have typed the value of the header itself. */
function parseHeaderFile(text: string): HeaderFile {
  const at = text.indexOf('=')
  const [name, file] = [text.slice(0, Math.max(0, at)), text.slice(at + 1)]
  if (name === '' || file === '') throw new UsageError('--header-file: expected NAME=FILE, such as X-Api-Key=key.txt')
  return { name, file }
}

/** Applies the rules that the resource has for the names of headersFrom. */
function refuseHeaders(files: readonly HeaderFile[]): void {
  const parsed = headersSchema.safeParse(files.map(({ name }) => ({ name, secretKeyRef: { name: 'x', key: 'x' } })))
  if (!parsed.success) throw new UsageError(`--header-file: ${parsed.error.issues[0]?.message ?? 'invalid'}`)
}

/** @throws UsageError that quotes no value */
async function readHeaders(
  context: CommandContext,
  files: readonly HeaderFile[],
): Promise<NonNullable<CheckRequest['headers']>> {
  const headers: [name: string, value: Sensitive][] = []
  let total = 0
  for (const { file, name } of files) {
    const value = await secretOf(context, { flag: '--header-file', file, variable: undefined })
    const { length } = value.reveal()
    total += length
    if (!/^[\x20-\x7e]*$/.test(value.reveal()) || length > maxHeaderBytes) {
      throw new UsageError(`--header-file ${name}: expected at most ${maxHeaderBytes} printable ASCII characters`)
    }
    headers.push([name, value])
  }
  if (total <= maxHeadersBytes) return headers
  throw new UsageError(`--header-file: expected at most ${maxHeadersBytes} characters in all values together`)
}

/** The flags and variables of the request. */
export function typedNames({ appKeyFile, appSecretFile, caFile }: TypedOptions): InputNames {
  return {
    url: '--gateway',
    timeout: '--timeout',
    ca: '--ca-file',
    ...(caFile === undefined ? {} : { usedCa: 'the CA in the file of --ca-file' }),
    tlsServerName: '--tls-server-name',
    appKey: appKeyFile === undefined ? appKeyVariable : '--app-key-file',
    appSecret: appSecretFile === undefined ? appSecretVariable : '--app-secret-file',
    headers: '--header-file',
  }
}

/** Applies the rules that the resource has for a gateway. */
function refuseGateway({ allowInsecureHttp, gateway: url, tlsServerName }: TypedOptions): void {
  const gateway = {
    url,
    allowInsecureHTTP: allowInsecureHttp ?? false,
    ...(tlsServerName === undefined ? {} : { tlsServerName }),
  }
  const rest = { appKeyRef: { name: 'x' }, appSecretRef: { name: 'x' }, targets: [{ name: 'y' }] }
  const parsed = parseSpec('x', { ...rest, gateway })
  if (parsed.ok) return
  const [, field, problem = ''] = /^(?:spec\.gateway(\.\w+)?: )?(.*)$/s.exec(parsed.problems[0] ?? '') ?? []
  const flag = field === '.tlsServerName' ? '--tls-server-name' : '--gateway'
  throw new UsageError(`${flag}: ${problem.replace('allowInsecureHTTP: true', '--allow-insecure-http')}`)
}

async function readCa(file: string): Promise<string> {
  const ca = await contentOf('--ca-file', file)
  const problem = certificatesProblem(ca)
  if (problem !== undefined) throw new UsageError(`--ca-file: ${file} ${problem}`)
  return ca
}

interface SecretInput {
  readonly flag: string
  /** `-`: standard input. */
  readonly file: string | undefined
  readonly variable: string | undefined
}

async function secretOf(
  { environment, stdin }: CommandContext,
  { file, flag, variable = '' }: SecretInput,
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
