import { existsSync, readFileSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { delimiter, dirname, join, resolve } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import type { KubeconfigEnvironment } from '../config/run-config.ts'

export interface KubeconfigSource {
  /** Value of --kubeconfig; empty counts as not set. */
  readonly flag: string | undefined
  readonly environment: KubeconfigEnvironment
  /** Directory of the pod's token, CA and namespace. */
  readonly serviceAccountDirectory?: string
}

const defaultServiceAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount'

/** There is no usable kubeconfig. The message names the file and the remedy, and quotes nothing of the content. */
export class KubeconfigError extends Error {
  override readonly name = 'KubeconfigError'
  readonly code = 'KubeconfigUnusable'
}

/**
 * Chooses the source once: the flag, else KUBECONFIG, else the pod's service account, else ~/.kube/config.
 *
 * @returns a function that reads that source anew each time; it throws KubeconfigError
 */
export function loadKubeconfig({
  flag,
  environment,
  serviceAccountDirectory = defaultServiceAccountDirectory,
}: KubeconfigSource): () => KubeConfig {
  if (isSet(flag)) return () => loadFiles([flag], '--kubeconfig')
  const { HOME, KUBECONFIG, KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = environment
  const files = (KUBECONFIG ?? '').split(delimiter).filter((file) => file !== '')
  if (files.length > 0) return () => loadFiles(files, 'KUBECONFIG')
  if (isSet(host) && existsSync(join(serviceAccountDirectory, 'token'))) {
    return () => loadInCluster(host, isSet(port) ? port : '443', serviceAccountDirectory)
  }
  const homeFile = isSet(HOME) ? join(HOME, '.kube', 'config') : undefined
  if (homeFile !== undefined && existsSync(homeFile)) return () => loadFiles([homeFile], 'the home directory')
  return () => {
    throw new KubeconfigError(
      `no kubeconfig found: ${homeFile ?? '~/.kube/config'} does not exist; set --kubeconfig or KUBECONFIG, ` +
        'or run in a pod that mounts its service account token',
    )
  }
}

/** Namespace of the pod, else of the current context, else `default`. */
export function currentNamespace(config: KubeConfig): string {
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace?.trim()
  return isSet(namespace) ? namespace : 'default'
}

/** The source that loadKubeconfig chooses, for messages: `the kubeconfig /home/me/.kube/config`. */
export function describeKubeconfig({
  flag,
  environment: { HOME, KUBECONFIG, KUBERNETES_SERVICE_HOST: host },
  serviceAccountDirectory = defaultServiceAccountDirectory,
}: KubeconfigSource): string {
  if (isSet(flag)) return `the kubeconfig ${flag}`
  const files = (KUBECONFIG ?? '').split(delimiter).filter((file) => file !== '')
  if (files.length > 0) return `the kubeconfig ${files.join(delimiter)}`
  if (isSet(host) && existsSync(join(serviceAccountDirectory, 'token'))) return 'the service account of the pod'
  return `the kubeconfig ${isSet(HOME) ? join(HOME, '.kube', 'config') : '~/.kube/config'}`
}

function loadInCluster(host: string, port: string, directory: string): KubeConfig {
  const config = new KubeConfig()
  config.loadFromOptions({
    clusters: [
      {
        name: 'in-cluster',
        server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
        caFile: join(directory, 'ca.crt'),
        skipTLSVerify: false,
      },
    ],
    // client-node reads the token file again, because it is rotated.
    users: [
      { name: 'in-cluster', authProvider: { name: 'tokenFile', config: { tokenFile: join(directory, 'token') } } },
    ],
    contexts: [{ name: 'in-cluster', cluster: 'in-cluster', user: 'in-cluster', ...namespaceIn(directory) }],
    currentContext: 'in-cluster',
  })
  return config
}

function namespaceIn(directory: string): { namespace?: string } {
  const file = join(directory, 'namespace')
  return existsSync(file) ? { namespace: read(file, 'the service account').trim() } : {}
}

/** Reads and merges the files: the first file that has an entry of a name, or a current context, wins. */
function loadFiles(files: readonly string[], origin: string): KubeConfig {
  // As with kubectl, some of several files may be missing.
  const present = files.filter((file) => existsSync(file))
  const configs = (present.length > 0 ? present : files).map((file) => loadFile(file, origin))
  const merged = new KubeConfig()
  merged.loadFromOptions({
    clusters: firstOfEachName(configs.flatMap((config) => config.clusters)),
    users: firstOfEachName(configs.flatMap((config) => config.users)),
    contexts: firstOfEachName(configs.flatMap((config) => config.contexts)),
    // Optional in the file, although not in client-node's type.
    currentContext: configs.map((config): string | undefined => config.currentContext).find(isSet),
  })
  assertUsable(merged, files.join(delimiter), origin)
  return merged
}

function loadFile(file: string, origin: string): KubeConfig {
  const text = read(file, origin)
  const config = new KubeConfig()
  try {
    config.loadFromString(text)
    config.makePathsAbsolute(dirname(resolve(file)))
  } catch (error) {
    // The YAML parser's message quotes the file; only client-node's messages about a missing field do not.
    const detail = error instanceof Error ? error.message : ''
    const isSafe = /^(?:clusters|users|contexts)\[\d+\](?:\.\w+)* is missing$/.test(detail)
    throw new KubeconfigError(
      `the kubeconfig ${file} (from ${origin}) ${isSafe ? `is incomplete: ${detail}` : 'is not a valid kubeconfig'}; ` +
        'check it with `kubectl config view`',
    )
  }
  return config
}

function read(file: string, origin: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    const reason = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`
    throw new KubeconfigError(`${file} (from ${origin}) ${reason}; set a file that this user may read`)
  }
}

function assertUsable(config: KubeConfig, files: string, origin: string): void {
  const fail = (problem: string): never => {
    throw new KubeconfigError(`the kubeconfig ${files} (from ${origin}) ${problem}`)
  }
  if (!isSet(config.currentContext)) fail('has no current-context; set it with `kubectl config use-context`')
  const context = config.getContextObject(config.currentContext)
  if (context === null)
    return fail('has no context of the name in current-context; list them with `kubectl config get-contexts`')
  const cluster = config.getCluster(context.cluster)
  if (cluster === null) return fail('has no cluster of the name in the current context; add it')
  if (!isUrl(cluster.server, /^https?:$/))
    fail('has an invalid server in the current cluster; expected an http:// or https:// URL')
  if (isSet(cluster.proxyUrl) && !isUrl(cluster.proxyUrl, /^(?:https?|socks5?):$/)) {
    fail('has an invalid proxy-url in the current cluster; expected an http://, https:// or socks5:// URL')
  }
  // YAML reads a bare 123 as a number, although client-node's type is string.
  if (isSet(context.namespace) && typeof context.namespace !== 'string') {
    fail('has a namespace in the current context that is not a string; put it in quotes')
  }
  if (isSet(context.user) && config.getUser(context.user) === null) {
    fail('has no user of the name in the current context; add it')
  }
}

function firstOfEachName<T extends { readonly name: string }>(items: readonly T[]): T[] {
  return items.filter((item, index) => items.findIndex(({ name }) => name === item.name) === index)
}

function isUrl(text: unknown, protocol: RegExp): boolean {
  return typeof text === 'string' && protocol.test(URL.parse(text)?.protocol ?? '')
}

function isSet(value: string | null | undefined): value is string {
  return value !== undefined && value !== null && value !== ''
}
