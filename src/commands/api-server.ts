import { parseProxyConfig } from '../config/proxy.ts'
import { parseKubeconfigOptions } from '../config/run-config.ts'
import { describeDenial } from '../kubernetes/admission-denial.ts'
import { connect } from '../kubernetes/connect.ts'
import { ApiError, isKindUnknown } from '../kubernetes/errors.ts'
import { retryRefusedCalls } from '../kubernetes/retrying-client.ts'
import type { KubernetesClient } from '../kubernetes/types.ts'
import type { Clock } from '../lib/clock.ts'
import { describeNetworkError, isCutConnection } from '../lib/network-errors.ts'
import type { CommandContext } from './context.ts'
import { CommandError } from './errors.ts'
import { userAgent, warnOfMisspelled } from './options.ts'

/** The API server, with the identity of the user. */
export interface ApiServer {
  readonly client: KubernetesClient
  /** Of the kubeconfig context, or of the pod. */
  readonly currentNamespace: string
  readonly url: string
  /** Where `url` comes from: `the kubeconfig /home/me/.kube/config`. */
  readonly origin: string
  close(): Promise<void>
}

/** The flags that choose the API server. */
export interface ApiServerFlags {
  readonly kubeconfig?: string
  readonly context?: string
}

/** Makes no call. @throws KubeconfigError */
export function openApiServer(
  { clock, environment }: { readonly clock: Clock; readonly environment: CommandContext['environment'] },
  flags: ApiServerFlags,
): ApiServer {
  const connection = connect({
    kubeconfig: parseKubeconfigOptions(flags, environment),
    clock,
    userAgent,
    fieldManager: 'enos-credential-cli',
    proxy: parseProxyConfig(environment),
  })
  return {
    client: retryRefusedCalls(connection.client, clock),
    currentNamespace: connection.currentNamespace,
    url: connection.origin.server,
    origin: connection.origin.from,
    close: () => connection.close(),
  }
}

/** Runs `work` and closes the connection. @throws CommandError in place of an ApiError, with the server and its origin */
export async function withApiServer<T>(
  context: CommandContext,
  flags: ApiServerFlags,
  work: (server: ApiServer) => Promise<T>,
): Promise<T> {
  warnOfMisspelled(context)
  const server = context.openApiServer(flags)
  try {
    return await work(server)
  } catch (error) {
    // An aborted call says nothing about the API server.
    context.signal.throwIfAborted()
    throw error instanceof ApiError ? new CommandError(describeApiError(error, server)) : error
  } finally {
    await server.close()
  }
}

/** A failed call in one sentence for the user. */
export function describeApiError(error: ApiError, { origin, url }: Pick<ApiServer, 'url' | 'origin'>): string {
  const { admissionDenial, code, detail, reason } = error
  const server = `the API server ${url} (from ${origin})`
  const [call = ''] = error.message.split(':')
  if (admissionDenial !== undefined) return `refused: ${call}: ${describeDenial(admissionDenial)}`
  if (isKindUnknown(error)) {
    return `${server} does not serve EnosAppCredentials: install the CRD, crds/ of enos-credential-operator`
  }
  if (code === 401) return `${server} refuses the credentials (HTTP 401): log in again, or use another kubeconfig`
  if (code === 403) return `forbidden: cannot ${call}`
  if (code === 404) return `not found: ${call}`
  if (url.startsWith('http:') && isOfTlsPort(error)) {
    const seen = code === 0 ? describeNetworkError(reason) : `HTTP ${code}`
    return `${server} answers plain HTTP with an error (${seen}): if the port serves TLS, use https:// in the kubeconfig`
  }
  if (code !== 0) return `${server} answers HTTP ${code} (${reason}): try again`
  if (reason === 'Timeout') return `${server} does not answer in time`
  if (reason === 'NotJson') return `${server} does not answer in JSON: correct the server in the kubeconfig`
  return `cannot reach ${server}: ${detail ?? describeNetworkError(reason)}`
}

/** The API server answers plain HTTP on its TLS port so, or closes the connection. Its other refusals have a reason. */
function isOfTlsPort({ code, reason }: ApiError): boolean {
  return code === 0 ? isCutConnection(reason) : code === 400 && reason === 'Unknown'
}
