import { existsSync, readFileSync } from 'node:fs'
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path'
import { type Cluster, type Context, KubeConfig, type User } from '@kubernetes/client-node'
import { load, YAMLException } from 'js-yaml'
import type { GivenText } from '../config/run-config.ts'
import { type Fields, fieldsOf } from '../lib/fields.ts'
import { joinNames } from '../lib/join-names.ts'
import { assertData } from './kubeconfig-data.ts'
import { KubeconfigError, unusableFile } from './kubeconfig-error.ts'
import { completeUser, type KubeconfigUser, tokenFileOf } from './kubeconfig-user.ts'

const execExtension = 'client.authentication.k8s.io/exec'

/** A cluster of a kubeconfig, with what client-node leaves out. */
export interface KubeconfigCluster extends Cluster {
  /** The extension `client.authentication.k8s.io/exec`, for exec plugins. */
  readonly execConfig?: unknown
}

interface LoadedFile {
  readonly file: string
  /** Without the entries that cannot be used. */
  readonly config: KubeConfig
  readonly raw: Fields
  /** The first entry that cannot be used: `clusters[0].cluster.server is missing`. */
  readonly problem: string | undefined
}

/**
 * Reads and merges the files: the first file that has an entry of a name, or a current context, wins. Entries that the
 * current context does not name may be broken.
 *
 * @param origin for messages: `KUBECONFIG`
 * @param given the context to use in place of current-context
 * @throws KubeconfigError
 */
export function loadKubeconfigFiles(files: readonly string[], origin: string, given?: GivenText): KubeConfig {
  // As with kubectl, some of several files may be missing.
  const present = files.filter((file) => existsSync(file))
  const loaded = (present.length > 0 ? present : files).map((file) => loadFile(file, origin))
  const fail = (text: string): never => {
    const source = given === undefined ? origin : `${origin}, with context ${given.text} from ${given.from}`
    throw new KubeconfigError(`the kubeconfig ${files.join(delimiter)} (from ${source}) ${text}`)
  }
  const problem = loaded.map((one) => one.problem).find((one) => one !== undefined)
  // An entry that is missing may be one that cannot be used.
  const failMissing = (text: string): never => fail(problem === undefined ? text : `${text} (${problem})`)
  const currentContext = currentContextOf(loaded, given)
  if (typeof currentContext !== 'string') {
    return failMissing('has no current-context; set it with `kubectl config use-context`, or give --context')
  }
  const context = findFirst(loaded, ({ contexts }) => contexts, currentContext)?.entry
  if (context === undefined) {
    if (given !== undefined) return failMissing(`has no context of that name; ${describeContexts(loaded)}`)
    return failMissing('has no context of the name in current-context; list them with `kubectl config get-contexts`')
  }
  const foundCluster = findFirst(loaded, ({ clusters }) => clusters, context.cluster)
  if (foundCluster === undefined) return failMissing('has no cluster of the name in the current context; add it')
  const foundUser = isSet(context.user) ? findFirst(loaded, ({ users }) => users, context.user) : undefined
  if (isSet(context.user) && foundUser === undefined) {
    return failMissing('has no user of the name in the current context; add it')
  }
  try {
    const cluster = completeCluster(foundCluster)
    // client-node applies the cluster's CA only where there is a user.
    const user: KubeconfigUser = foundUser === undefined ? { name: '' } : completeUserOf(foundUser)
    const config = merge(loaded, { ...checkContext(context), user: user.name }, cluster, reducedFor(cluster, user))
    assertFilesReadable(config)
    return config
  } catch (error) {
    // These messages quote nothing of the file.
    if (error instanceof KubeconfigError) return fail(`cannot be used: ${error.message}`)
    return fail(error instanceof Error ? error.message : 'is not a valid kubeconfig')
  }
}

function currentContextOf(loaded: readonly LoadedFile[], given: GivenText | undefined): unknown {
  return given?.text ?? loaded.map(({ config }): unknown => config.currentContext).find(isSet)
}

function describeContexts(loaded: readonly LoadedFile[]): string {
  const names = new Set(loaded.flatMap(({ config }) => config.contexts.map(({ name }) => name)))
  return names.size === 0 ? 'there is none' : `expected one of ${joinNames([...names])}`
}

/** @throws KubeconfigError that names the first file of the current cluster or user that cannot be read */
export function assertFilesReadable(config: KubeConfig): void {
  const cluster = config.getCurrentCluster()
  const user = config.getCurrentUser()
  const files = [
    ['certificate-authority', cluster?.caFile],
    ['client-certificate', user?.certFile],
    ['client-key', user?.keyFile],
    ['token', tokenFileOf(user)],
  ] as const
  for (const [field, file] of files) {
    if (!isSet(file)) continue
    try {
      readFileSync(file)
    } catch (error) {
      throw unusableFile(`the ${field} file`, file, error)
    }
  }
}

/** @throws KubeconfigError */
export function readKubeconfigFile(file: string, origin: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const { message } = unusableFile('', file, error)
    throw new KubeconfigError(
      message.trim().replace(file, () => `${file} (from ${origin})`) + '; set a file that this user may read',
    )
  }
}

interface Found<T> {
  readonly entry: T
  readonly in: LoadedFile
}

function findFirst<T extends { readonly name: string }>(
  loaded: readonly LoadedFile[],
  entriesOf: (config: KubeConfig) => readonly T[],
  name: string,
): Found<T> | undefined {
  for (const one of loaded) {
    const entry = entriesOf(one.config).find((candidate) => candidate.name === name)
    if (entry !== undefined) return { entry, in: one }
  }
  return undefined
}

function loadFile(file: string, origin: string): LoadedFile {
  const text = readKubeconfigFile(file, origin)
  const config = new KubeConfig()
  try {
    // client-node's loadYaml would bring its models of the whole API into the bundle.
    const raw: unknown = load(text)
    if (typeof raw !== 'object' || Array.isArray(raw)) throw new Error('no mapping')
    let problem: string | undefined
    try {
      config.loadFromString(text)
    } catch (error) {
      // Only client-node's messages about a missing field quote nothing of the file.
      const { message } = error instanceof Error ? error : { message: '' }
      if (/^(?:clusters|users|contexts)\[\d+\](?:\.\w+)* is missing$/.test(message)) problem = message
      config.loadFromString(text, { onInvalidEntry: 'filter' })
    }
    return { file, config, raw: fieldsOf(raw), problem }
  } catch (error) {
    // The YAML parser's message quotes the file. An empty file has no line.
    const line = error instanceof YAMLException ? fieldsOf(error.mark)['line'] : undefined
    const problem =
      typeof line === 'number'
        ? `line ${line + 1} is not valid YAML`
        : 'expected YAML with clusters, contexts and users'
    throw new KubeconfigError(
      `the kubeconfig ${file} (from ${origin}) is not a valid kubeconfig: ${problem}; check it with \`kubectl config view\``,
    )
  }
}

/** The entry as the file has it. */
function rawEntry({ raw }: LoadedFile, list: 'clusters' | 'users', name: string): Fields {
  const entry = findNamed(raw[list], name)
  return fieldsOf(entry[list === 'clusters' ? 'cluster' : 'user'])
}

function findNamed(list: unknown, name: string): Fields {
  return (Array.isArray(list) ? list : []).map(fieldsOf).find((one) => one['name'] === name) ?? {}
}

function completeUserOf({ entry, in: from }: Found<User>): KubeconfigUser {
  return completeUser(entry, rawEntry(from, 'users', entry.name), dirname(resolve(from.file)))
}

function completeCluster({ entry, in: from }: Found<Cluster>): KubeconfigCluster {
  const { caData, caFile, proxyUrl, server } = entry
  if (!isUrl(server, /^https?:$/)) {
    throw new Error('has an invalid server in the current cluster; expected an http:// or https:// URL')
  }
  if (isSet(proxyUrl) && !isUrl(proxyUrl, /^(?:https?|socks5h?|socks):$/)) {
    throw new Error('has an invalid proxy-url in the current cluster; expected an http://, https:// or socks5:// URL')
  }
  if (isSet(caFile) && typeof caFile !== 'string') {
    throw new Error('has a certificate-authority in the current cluster that is not a string; put it in quotes')
  }
  // Else it is not used.
  if (server.startsWith('https:') && !entry.skipTLSVerify) assertData('certificate-authority-data', 'cluster', caData)
  const directory = dirname(resolve(from.file))
  const execConfig = findNamed(rawEntry(from, 'clusters', entry.name)['extensions'], execExtension)['extension']
  return {
    ...entry,
    // The data goes before the file.
    caFile: isSet(caData) || !isSet(caFile) ? '' : isAbsolute(caFile) ? caFile : join(directory, caFile),
    ...(execConfig === undefined ? {} : { execConfig }),
    // client-node refuses http:// unless TLS need not be verified, which has no meaning there.
    skipTLSVerify: entry.skipTLSVerify || server.startsWith('http:'),
  }
}

/** As kubectl: over http:// a server gets no credentials, only the name of an impersonation. */
function reducedFor({ server }: Cluster, user: KubeconfigUser): KubeconfigUser {
  if (server.startsWith('https:')) return user
  const { impersonateUser, impersonation, name } = user
  return {
    name,
    ...(impersonateUser === undefined ? {} : { impersonateUser }),
    ...(impersonation === undefined ? {} : { impersonation }),
  }
}

function checkContext(context: Context): Context {
  // YAML reads a bare 123 as a number, although client-node's type is string.
  if (isSet(context.namespace) && typeof context.namespace !== 'string') {
    throw new Error('has a namespace in the current context that is not a string; put it in quotes')
  }
  return context
}

function merge(loaded: readonly LoadedFile[], context: Context, cluster: Cluster, user: User): KubeConfig {
  const merged = new KubeConfig()
  merged.loadFromOptions({
    clusters: withCurrent(
      cluster,
      loaded.flatMap(({ config }) => config.clusters),
    ),
    users: withCurrent(
      user,
      loaded.flatMap(({ config }) => config.users),
    ),
    contexts: withCurrent(
      context,
      loaded.flatMap(({ config }) => config.contexts),
    ),
    currentContext: context.name,
  })
  return merged
}

/** The first item of each name, and the current one in place of its namesake. */
function withCurrent<T extends { readonly name: string }>(current: T, items: readonly T[]): T[] {
  const first = items.filter((item, index) => items.findIndex(({ name }) => name === item.name) === index)
  const isListed = first.some(({ name }) => name === current.name)
  return isListed ? first.map((item) => (item.name === current.name ? current : item)) : [...first, current]
}

function isUrl(text: unknown, protocol: RegExp): boolean {
  return typeof text === 'string' && protocol.test(URL.parse(text)?.protocol ?? '')
}

function isSet<T>(value: T | '' | null | undefined): value is T {
  return value !== undefined && value !== null && value !== ''
}
