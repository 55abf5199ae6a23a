import { createHash } from 'node:crypto'
import type { RequestOptions } from 'node:https'
import type { KubeConfig } from '@kubernetes/client-node'
import type { ProxySelector } from '../config/proxy.ts'
import type { Clock } from '../lib/clock.ts'
import { type ExecCluster, type ExecCredential, ExecPlugin } from './exec-plugin.ts'
import { assertFilesReadable, type KubeconfigCluster } from './kubeconfig-files.ts'
import { impersonationHeaders, type KubeconfigUser } from './kubeconfig-user.ts'

/** Address, TLS options and authentication of the API server, as resolved at one moment. */
export interface Connection {
  /** Origin and base path, no trailing slash. */
  readonly server: string
  readonly tls: {
    readonly ca?: string | Buffer
    readonly cert?: string | Buffer
    readonly key?: string | Buffer
    readonly servername?: string
    readonly rejectUnauthorized?: boolean
  }
  readonly proxyUrl: string | undefined
  /** Authorization and impersonation. */
  readonly headers: Readonly<Record<string, string | string[]>>
  /** False: a header is repeated, which undici cannot do over HTTP/2. */
  readonly allowH2: boolean
  /** Digest of server, proxy, protocol and TLS options: connections of the same identity may share sockets. */
  readonly identity: string
}

export interface ApiServerAuthOptions {
  /** Inherited by exec plugins. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** For a cluster without proxy-url. Default: no proxy. */
  readonly selectProxy?: ProxySelector
}

/** The last read, and its outcome once there is one. */
interface Resolved {
  readonly promise: Promise<Connection>
  readonly at: number
  connection: Connection | undefined
}

/** CA, certificate and key files are read again after this time. */
const resolveIntervalMs = 1000
/** The kubeconfig and token files are read again after this time; client-go takes twice as long. */
const reloadIntervalMs = 30_000
/** An exec plugin that has not ended after this time is started again. */
const resolveTimeoutMs = 60_000

/**
 * Authentication against the API server. client-node reads a kubeconfig, its certificates and its token once; each may
 * be rotated while the process runs, so this class has them read again.
 */
export class ApiServerAuth {
  readonly #load: () => KubeConfig
  readonly #clock: Clock
  readonly #plugin: ExecPlugin
  readonly #selectProxy: ProxySelector
  #config: KubeConfig
  #loadedAt: number
  #resolved: Resolved | undefined

  /** @param load reads the kubeconfig; called again to follow rotation */
  constructor(load: () => KubeConfig, clock: Clock, options: ApiServerAuthOptions = {}) {
    this.#plugin = new ExecPlugin(clock, options.environment ?? {})
    this.#selectProxy = options.selectProxy ?? (() => undefined)
    this.#load = load
    this.#clock = clock
    this.#config = load()
    this.#loadedAt = clock.now()
  }

  /** What `current` would resolve with at once; undefined where it would read first. */
  known(): Connection | undefined {
    const { at = 0, connection } = this.#resolved ?? {}
    return this.#clock.now() - at < resolveIntervalMs ? connection : undefined
  }

  /** At most a second old; concurrent callers share one read. */
  current(): Promise<Connection> {
    const now = this.#clock.now()
    const last = this.#resolved
    if (last !== undefined && now - last.at < (last.connection === undefined ? resolveTimeoutMs : resolveIntervalMs)) {
      return last.promise
    }
    return this.#begin(now - this.#loadedAt >= reloadIntervalMs)
  }

  /** Called after a 401: reads everything again. */
  invalidate(): void {
    if (this.#clock.now() - this.#loadedAt < resolveIntervalMs) return
    this.#plugin.invalidate()
    void this.#begin(true)
  }

  #begin(shouldReload: boolean): Promise<Connection> {
    const promise = this.#resolve(shouldReload)
    const resolved: Resolved = { promise, at: this.#clock.now(), connection: undefined }
    this.#resolved = resolved
    promise.then(
      (connection) => {
        resolved.connection = connection
      },
      () => {
        // The present callers get the error; the next call tries again.
        if (this.#resolved === resolved) this.#resolved = undefined
      },
    )
    return resolved.promise
  }

  async #resolve(shouldReload: boolean): Promise<Connection> {
    if (shouldReload) {
      this.#config = this.#load()
      this.#loadedAt = this.#clock.now()
    }
    const cluster: KubeconfigCluster | null = this.#config.getCurrentCluster()
    if (cluster === null) throw new Error('the kubeconfig has no current cluster: set current-context')
    const user: KubeconfigUser | null = this.#config.getCurrentUser()
    const plugin = user?.execPlugin
    const credential = plugin && (await this.#plugin.credential(plugin, execClusterOf(cluster)))
    const options: RequestOptions = { headers: {} }
    try {
      await this.#config.applyToHTTPSOptions(options)
    } catch (error) {
      assertFilesReadable(this.#config)
      throw error
    }
    const tls = tlsOf(options, credential)
    const headers = headersOf(options, credential, user)
    const server = cluster.server.replace(/\/+$/, '')
    const proxyUrl = proxyUrlOf(cluster) ?? this.#selectProxy(new URL(server))
    const allowH2 = Object.values(headers).every((value) => typeof value === 'string')
    return { server, tls, proxyUrl, headers, allowH2, identity: identityOf({ server, proxyUrl, tls, allowH2 }) }
  }
}

function execClusterOf(cluster: KubeconfigCluster): ExecCluster {
  const { caData, caFile, execConfig: config, server, skipTLSVerify, tlsServerName } = cluster
  return { server, tlsServerName, skipTLSVerify, caData, caFile, proxyUrl: proxyUrlOf(cluster), config }
}

function proxyUrlOf({ proxyUrl }: KubeconfigCluster): string | undefined {
  // undici has a SOCKS proxy resolve names in both cases, and knows the first scheme only.
  return proxyUrl === undefined || proxyUrl === '' ? undefined : proxyUrl.replace(/^socks5h:/, 'socks5:')
}

function tlsOf(options: RequestOptions, credential: ExecCredential | undefined): Connection['tls'] {
  const { ca } = options as { ca?: string | Buffer }
  const own = options as { cert?: string | Buffer; key?: string | Buffer }
  const cert = credential?.clientCertificateData ?? own.cert
  const key = credential?.clientKeyData ?? own.key
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(options.servername === undefined ? {} : { servername: options.servername }),
    ...(options.rejectUnauthorized === undefined ? {} : { rejectUnauthorized: options.rejectUnauthorized }),
  }
}

function headersOf(
  options: RequestOptions,
  credential: ExecCredential | undefined,
  user: KubeconfigUser | null,
): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {}
  if (credential?.token !== undefined) headers['authorization'] = `Bearer ${credential.token}`
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    if (typeof value === 'string') headers[name.toLowerCase()] = value.trim()
  }
  if (typeof options.auth === 'string') {
    headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`
  }
  return { ...headers, ...(user?.impersonation === undefined ? {} : impersonationHeaders(user.impersonation)) }
}

function identityOf({ server, proxyUrl, tls, allowH2 }: Omit<Connection, 'headers' | 'identity'>): string {
  const digest = createHash('sha256')
  const flags = [String(tls.rejectUnauthorized), String(allowH2)]
  for (const part of [server, proxyUrl, tls.ca, tls.cert, tls.key, tls.servername, ...flags]) {
    digest.update(part ?? '').update('\0')
  }
  return digest.digest('hex')
}
