import { accessSync, constants } from 'node:fs'
import type { KubeConfig } from '@kubernetes/client-node'
import { describeDenial } from '../kubernetes/admission-denial.ts'
import { connect } from '../kubernetes/connect.ts'
import { ApiError } from '../kubernetes/errors.ts'
import { describeKubeconfig, loadKubeconfig } from '../kubernetes/kubeconfig.ts'
import type { KubernetesClient } from '../kubernetes/types.ts'
import type { Clock } from '../lib/clock.ts'
import { describeNetworkError } from '../lib/network-errors.ts'
import { type CommandContext, CommandError } from './context.ts'
import { userAgent } from './options.ts'

/** The API server, with the identity of the user. */
export interface ApiServer {
  readonly client: KubernetesClient
  /** Of the kubeconfig context, or of the pod. */
  readonly currentNamespace: string
  readonly url: string
  /** Where `url` comes from: `the kubeconfig /home/me/.kube/config`. */
  readonly origin: string
  /** Finds a file or program that the kubeconfig names and that cannot be used, in words. */
  findUnusableFile(): string | undefined
  close(): Promise<void>
}

/** Makes no call. @throws KubeconfigError */
export function openApiServer(
  { clock, environment }: { readonly clock: Clock; readonly environment: CommandContext['environment'] },
  flag: string | undefined,
): ApiServer {
  const kubeconfig = { flag, environment }
  const config = loadKubeconfig(kubeconfig)()
  const connection = connect({ kubeconfig, clock, userAgent, fieldManager: 'enos-credential-cli' })
  return {
    client: connection.client,
    currentNamespace: connection.currentNamespace,
    url: config.getCurrentCluster()?.server ?? '',
    origin: describeKubeconfig(kubeconfig),
    findUnusableFile: () => findUnusableFile(config),
    close: () => connection.close(),
  }
}

/** Runs `work` and closes the connection. @throws CommandError in place of an ApiError, with the server and its origin */
export async function withApiServer<T>(
  { openApiServer }: CommandContext,
  kubeconfig: string | undefined,
  work: (server: ApiServer) => Promise<T>,
): Promise<T> {
  const server = openApiServer(kubeconfig)
  try {
    return await work(server)
  } catch (error) {
    throw error instanceof ApiError ? new CommandError(describeApiError(error, server)) : error
  } finally {
    await server.close()
  }
}

/** The API server answers for an object that does not exist with reason NotFound, for a missing CRD with no Status at all. */
export function isCrdMissing(error: unknown): boolean {
  return error instanceof ApiError && error.code === 404 && error.reason !== 'NotFound'
}

/** A failed call in one sentence for the user. */
export function describeApiError(
  error: ApiError,
  { findUnusableFile, origin, url }: Pick<ApiServer, 'url' | 'origin' | 'findUnusableFile'>,
): string {
  const { admissionDenial, code, reason } = error
  const server = `the API server ${url} (from ${origin})`
  const [call = ''] = error.message.split(':')
  if (admissionDenial !== undefined) return `refused: ${call}: ${describeDenial(admissionDenial)}`
  if (isCrdMissing(error)) {
    return `${server} does not serve EnosAppCredentials: install the CRD, crds/ of enos-credential-operator`
  }
  if (code === 401) return `${server} refuses the credentials (HTTP 401): log in again, or use another kubeconfig`
  if (code === 403) return `forbidden: cannot ${call}`
  if (code === 404) return `not found: ${call}`
  if (code !== 0) return `${server} answers HTTP ${code} (${reason}): try again`
  if (reason === 'Timeout') return `${server} does not answer in time`
  if (reason === 'NotJson') return `${server} does not answer in JSON: correct the server in the kubeconfig`
  const file = ['ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR', 'EPERM'].includes(reason) ? findUnusableFile() : undefined
  return file === undefined
    ? `cannot reach ${server}: ${describeNetworkError(reason)}`
    : `cannot reach ${server}: ${file}`
}

function findUnusableFile(config: KubeConfig): string | undefined {
  const cluster = config.getCurrentCluster()
  const user = config.getCurrentUser()
  // client-node types the configuration of auth providers as any.
  const tokenFile: unknown = (user?.authProvider as { config?: { tokenFile?: unknown } } | undefined)?.config?.tokenFile
  const files = [
    ['certificate-authority', cluster?.caFile],
    ['client-certificate', user?.certFile],
    ['client-key', user?.keyFile],
    ['token', tokenFile],
  ] as const
  for (const [field, file] of files) {
    if (typeof file !== 'string' || file === '') continue
    const why = whyUnreadable(file)
    if (why !== undefined) return `the ${field} file ${file} ${why}`
  }
  // client-node types it as any.
  const command: unknown = (user?.exec as { command?: unknown } | undefined)?.command
  return typeof command === 'string' ? `cannot run ${command}, the credential plugin of the kubeconfig` : undefined
}

function whyUnreadable(file: string): string | undefined {
  try {
    accessSync(file, constants.R_OK)
    return undefined
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    return code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`
  }
}
