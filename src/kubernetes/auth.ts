import { createHash } from 'node:crypto'
import type { RequestOptions } from 'node:https'
import type { KubeConfig } from '@kubernetes/client-node'
import type { Clock } from '../lib/clock.ts'

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
  readonly headers: Readonly<Record<string, string>>
  /** Digest of server, proxy and TLS options: connections of the same identity may share sockets. */
  readonly identity: string
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
  #config: KubeConfig
  #loadedAt: number
  #resolved: { readonly promise: Promise<Connection>; readonly at: number; isPending: boolean } | undefined

  /** @param load reads the kubeconfig; called again to follow rotation */
  constructor(load: () => KubeConfig, clock: Clock) {
    this.#load = load
    this.#clock = clock
    this.#config = load()
    this.#loadedAt = clock.now()
  }

  /** At most a second old; concurrent callers share one read. */
  current(): Promise<Connection> {
    const now = this.#clock.now()
    const last = this.#resolved
    if (last !== undefined && now - last.at < (last.isPending ? resolveTimeoutMs : resolveIntervalMs)) {
      return last.promise
    }
    // client-node keeps exec credentials until they expire; a reload would run the plugin again.
    return this.#begin(now - this.#loadedAt >= reloadIntervalMs && this.#config.getCurrentUser()?.exec === undefined)
  }

  /** Called after a 401: reads everything again. */
  invalidate(): void {
    if (this.#clock.now() - this.#loadedAt >= resolveIntervalMs) void this.#begin(true)
  }

  #begin(reload: boolean): Promise<Connection> {
    const resolved = { promise: this.#resolve(reload), at: this.#clock.now(), isPending: true }
    this.#resolved = resolved
    resolved.promise.then(
      () => {
        resolved.isPending = false
      },
      () => {
        // The present callers get the error; the next call tries again.
        if (this.#resolved === resolved) this.#resolved = undefined
      },
    )
    return resolved.promise
  }

  async #resolve(reload: boolean): Promise<Connection> {
    if (reload) {
      this.#config = this.#load()
      this.#loadedAt = this.#clock.now()
    }
    const cluster = this.#config.getCurrentCluster()
    if (cluster === null) throw new Error('the kubeconfig has no current cluster: set current-context')
    const options: RequestOptions = { headers: {} }
    await this.#config.applyToHTTPSOptions(options)
    const { ca, cert, key } = options as { ca?: string | Buffer; cert?: string | Buffer; key?: string | Buffer }
    const tls: Connection['tls'] = {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(options.servername === undefined ? {} : { servername: options.servername }),
      ...(options.rejectUnauthorized === undefined ? {} : { rejectUnauthorized: options.rejectUnauthorized }),
    }
    const headers: Record<string, string> = {}
    for (const [name, value] of Object.entries(options.headers ?? {})) {
      if (typeof value === 'string') headers[name.toLowerCase()] = value.trim()
    }
    if (typeof options.auth === 'string') {
      headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`
    }
    const server = cluster.server.replace(/\/+$/, '')
    const proxyUrl = cluster.proxyUrl
    return { server, tls, proxyUrl, headers, identity: identityOf(server, proxyUrl, tls) }
  }
}

function identityOf(server: string, proxyUrl: string | undefined, tls: Connection['tls']): string {
  const digest = createHash('sha256')
  for (const part of [server, proxyUrl, tls.ca, tls.cert, tls.key, tls.servername, String(tls.rejectUnauthorized)]) {
    digest.update(part ?? '').update('\0')
  }
  return digest.digest('hex')
}
