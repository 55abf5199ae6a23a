import { existsSync, readFileSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { delimiter, dirname, join, resolve } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import type { KubeconfigEnvironment } from '../config/run-config.ts'

export interface KubeconfigSource {
  /** The file that a flag names; an empty one counts as none. */
  readonly flag: string | undefined
  readonly environment: KubeconfigEnvironment
  /** Where a pod has its token, CA and namespace. */
  readonly serviceAccountDirectory?: string
}

/** There is no usable kubeconfig. The message names the file and what to do, and quotes nothing of its content. */
export class KubeconfigError extends Error {
  override readonly name = 'KubeconfigError'
  readonly code = 'KubeconfigUnusable'
}

/**
 * Finds where the API server is told: the flag, else KUBECONFIG, else the pod's service account, else ~/.kube/config.
 * The choice is made once; the loader reads that source anew each time.
 *
 * @returns a loader, which throws KubeconfigError
 */
export function loadKubeconfig({
  flag,
  environment,
  serviceAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount',
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
      `no kubeconfig: ${homeFile ?? '~/.kube/config'} does not exist; name one by --kubeconfig or KUBECONFIG, ` +
        'or run in a pod that mounts its service account token',
    )
  }
}

/** The pod's own namespace, else that of the current context, else `default`. */
export function currentNamespace(config: KubeConfig): string {
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace?.trim()
  return isSet(namespace) ? namespace : 'default'
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
    // The token file is read again when it is rotated.
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

/** Reads the files and merges them: what an earlier one says of a name, or of the current context, stands. */
function loadFiles(files: readonly string[], origin: string): KubeConfig {
  // As kubectl: one of several may be missing.
  const present = files.filter((file) => existsSync(file))
  const configs = (present.length > 0 ? present : files).map((file) => loadFile(file, origin))
  const merged = new KubeConfig()
  merged.loadFromOptions({
    clusters: firstOfEachName(configs.flatMap((config) => config.clusters)),
    users: firstOfEachName(configs.flatMap((config) => config.users)),
    contexts: firstOfEachName(configs.flatMap((config) => config.contexts)),
    // client-node's type says that it is always set.
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
    // The parser's message quotes the text; of client-node's only those that name a missing field may be told.
    const detail = error instanceof Error ? error.message : ''
    const isHarmless = /^(?:clusters|users|contexts)\[\d+\](?:\.\w+)* is missing$/.test(detail)
    throw new KubeconfigError(
      `the kubeconfig ${file} (from ${origin}) ${isHarmless ? `is incomplete: ${detail}` : 'is not a valid kubeconfig'}; ` +
        'see whether `kubectl config view` can read it',
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
    throw new KubeconfigError(`${file} (from ${origin}) ${reason}; name a file that this user may read`)
  }
}

function assertUsable(config: KubeConfig, files: string, origin: string): void {
  const fail = (problem: string): never => {
    throw new KubeconfigError(`the kubeconfig ${files} (from ${origin}) ${problem}`)
  }
  if (!isSet(config.currentContext)) fail('has no current context; set one by `kubectl config use-context`')
  const context = config.getContextObject(config.currentContext)
  if (context === null) return fail('has no context of the name in current-context; `kubectl config get-contexts`')
  const cluster = config.getCluster(context.cluster)
  if (cluster === null) return fail('lacks the cluster that its current context names; add it there')
  if (!isUrl(cluster.server, /^https?:$/)) fail('has no http(s) URL as the server of its current cluster; correct it')
  if (isSet(cluster.proxyUrl) && !isUrl(cluster.proxyUrl, /^(?:https?|socks5?):$/)) {
    fail('has no http(s) or socks5 URL as the proxy-url of its current cluster; correct it')
  }
  // YAML reads a bare 123 as a number; the types of client-node promise a text.
  if (isSet(context.namespace) && typeof context.namespace !== 'string') {
    fail('has a namespace in its current context that is no text; put it in quotes')
  }
  if (isSet(context.user) && config.getUser(context.user) === null) {
    fail('lacks the user that its current context names; add it there')
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
