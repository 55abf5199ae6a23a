import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Clock } from '../lib/clock.ts'
import { fieldsOf } from '../lib/fields.ts'
import { KubeconfigError } from './kubeconfig-error.ts'

/** A command that prints credentials, as `exec` of a kubeconfig's user has it. */
export interface ExecPluginConfig {
  /** Absolute, or without a slash. */
  readonly command: string
  readonly args: readonly string[]
  /** Environment variables besides those of this process. */
  readonly variables: Readonly<Record<string, string>>
  /** Of the ExecCredential, in and out. */
  readonly apiVersion: string
  readonly installHint: string | undefined
  readonly needsTerminal: boolean
  readonly wantsClusterInfo: boolean
}

/** The cluster, for a plugin that wants to know. */
export interface ExecCluster {
  readonly server: string
  readonly tlsServerName: string | undefined
  readonly skipTLSVerify: boolean
  readonly caData: string | undefined
  readonly caFile: string | undefined
  readonly proxyUrl: string | undefined
  /** Of the cluster's extension `client.authentication.k8s.io/exec`. */
  readonly config: unknown
}

/** What a plugin printed. */
export interface ExecCredential {
  readonly token: string | undefined
  readonly clientCertificateData: string | undefined
  readonly clientKeyData: string | undefined
}

/** A plugin that has not ended after this time is killed. */
const timeoutMs = 60_000
const maxOutputBytes = 1024 * 1024
const maxHintLength = 500

/**
 * Runs an exec plugin and keeps its credential until it expires. client-node's own runner sets no KUBERNETES_EXEC_INFO,
 * leaves the plugin's input open and waits for ever.
 *
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
 */
export class ExecPlugin {
  readonly #clock: Clock
  readonly #environment: Readonly<Record<string, string | undefined>>
  #known: { readonly key: string; readonly credential: ExecCredential; readonly expiresAtWall: number } | undefined

  /** @param environment of this process: plugins inherit it */
  constructor(clock: Clock, environment: Readonly<Record<string, string | undefined>>) {
    this.#clock = clock
    this.#environment = environment
  }

  /** @throws KubeconfigError that quotes nothing of the plugin's output, which may hold credentials */
  async credential(config: ExecPluginConfig, cluster: ExecCluster): Promise<ExecCredential> {
    if (config.needsTerminal) {
      throw new KubeconfigError(`${nameOf(config)} needs a terminal (interactiveMode: Always); use another plugin`)
    }
    const info = execInfo(config, cluster)
    const key = JSON.stringify([config, info])
    const known = this.#known
    if (known?.key === key && this.#clock.wall() < known.expiresAtWall) return known.credential
    const env = { ...this.#environment, ...config.variables, KUBERNETES_EXEC_INFO: info }
    const { credential, expiresAtWall } = parseOutput(config, await run(config, env))
    this.#known = { key, credential, expiresAtWall }
    return credential
  }

  /** The API server refused the credential. */
  invalidate(): void {
    this.#known = undefined
  }
}

function execInfo({ apiVersion, wantsClusterInfo }: ExecPluginConfig, cluster: ExecCluster): string {
  const { caData, caFile, config, proxyUrl, server, skipTLSVerify, tlsServerName } = cluster
  const ca = caData ?? (caFile === undefined || !wantsClusterInfo ? undefined : readFileSync(caFile).toString('base64'))
  const info = {
    server,
    'tls-server-name': tlsServerName,
    'insecure-skip-tls-verify': skipTLSVerify ? true : undefined,
    'certificate-authority-data': ca,
    'proxy-url': proxyUrl,
    config,
  }
  const spec = { ...(wantsClusterInfo ? { cluster: info } : {}), interactive: false }
  return JSON.stringify({ kind: 'ExecCredential', apiVersion, spec })
}

async function run(config: ExecPluginConfig, env: NodeJS.ProcessEnv): Promise<string> {
  const options = { env, timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: maxOutputBytes } as const
  return await new Promise((resolve, reject) => {
    const onEnd = (error: Error | null, output: string): void => {
      if (error === null) resolve(output)
      else reject(new KubeconfigError(describeFailure(config, error)))
    }
    try {
      const child = execFile(config.command, config.args, options, onEnd)
      child.stdin?.on('error', () => {
        // A plugin that reads no input may close it.
      })
      child.stdin?.end()
    } catch (error) {
      // Node refuses the command or a variable, for a NUL in it.
      reject(new KubeconfigError(describeFailure(config, error instanceof Error ? error : new Error('unknown'))))
    }
  })
}

function describeFailure(config: ExecPluginConfig, error: Error & { code?: unknown; killed?: unknown }): string {
  const name = nameOf(config)
  const { code, killed } = error
  if (code === 'ENOENT') {
    const hint =
      config.installHint
        ?.replaceAll(/[\s\p{Cc}]+/gu, ' ')
        .trim()
        .slice(0, maxHintLength) ?? ''
    return `${name} is not installed${hint === '' ? '' : `: ${hint}`}`
  }
  if (code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') return `${name} printed more than ${maxOutputBytes} bytes`
  if (killed === true) return `${name} did not end within ${timeoutMs / 1000} s`
  if (typeof code === 'number') return `${name} failed with exit code ${code}; run it by hand to see why`
  return `${name} cannot be run (${typeof code === 'string' ? code : 'ended by a signal'})`
}

function parseOutput(
  config: ExecPluginConfig,
  output: string,
): { readonly credential: ExecCredential; readonly expiresAtWall: number } {
  const fail = (problem: string): never => {
    throw new KubeconfigError(`${nameOf(config)} printed ${problem}; expected an ExecCredential with a status`)
  }
  const printed = fieldsOf(parseJson(output))
  if (printed['kind'] !== 'ExecCredential') return fail('no ExecCredential')
  if (config.apiVersion !== '' && printed['apiVersion'] !== config.apiVersion) {
    return fail(`another apiVersion than ${config.apiVersion}, which the kubeconfig asks for`)
  }
  const status = fieldsOf(printed['status'])
  const textOf = (field: string): string | undefined => {
    const value = status[field]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const credential = {
    token: textOf('token'),
    clientCertificateData: textOf('clientCertificateData'),
    clientKeyData: textOf('clientKeyData'),
  }
  const { clientCertificateData: certificate, clientKeyData: key, token } = credential
  if ((certificate === undefined) !== (key === undefined)) return fail('a certificate without key, or a key alone')
  if (token === undefined && certificate === undefined) return fail('neither token nor certificate')
  const expiresAtWall = Date.parse(textOf('expirationTimestamp') ?? '')
  return { credential, expiresAtWall: Number.isNaN(expiresAtWall) ? Number.POSITIVE_INFINITY : expiresAtWall }
}

function nameOf({ command }: ExecPluginConfig): string {
  return `the credential plugin ${command} of the kubeconfig`
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's message quotes the output.
    return undefined
  }
}
