import { createHash } from 'node:crypto'
import type { RequestOptions } from 'node:https'
import type { KubeConfig } from '@kubernetes/client-node'
import type { Clock } from '../lib/clock.ts'

/** How to reach the API server, and as whom, at this moment. */
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
  /** Tells whether two connections may share a socket: a digest of server, proxy and TLS material. */
  readonly identity: string
}

/** CA, certificate and key files are read again this often. */
const resolveIntervalMs = 1000
/** The kubeconfig itself, and token files, are read again this often: half of the time that client-go takes. */
const reloadIntervalMs = 30_000
/** A command that gives credentials is started again when it has not ended in this time. */
const resolveLimitMs = 60_000

/**
 * Credentials that follow their files. What client-node reads once, it is made to read again: a kubeconfig, its
 * certificates and its token may all be rotated under a running process.
 */
export class Credentials {
  readonly #load: () => KubeConfig
  readonly #clock: Clock
  #config: KubeConfig
  #loadedAt: number
  #resolved: { readonly promise: Promise<Connection>; readonly at: number; isPending: boolean } | undefined

  /** @param load reads the kubeconfig; called again for what was rotated */
  constructor(load: () => KubeConfig, clock: Clock) {
    this.#load = load
    this.#clock = clock
    this.#config = load()
    this.#loadedAt = clock.now()
  }

  /** The credentials as they are now; at most a second old, and read once however many ask. */
  current(): Promise<Connection> {
    const now = this.#clock.now()
    const known = this.#resolved
    if (known !== undefined && now - known.at < (known.isPending ? resolveLimitMs : resolveIntervalMs)) {
      return known.promise
    }
    // Exec credentials are kept until they expire; loading again would start their command again.
    return this.#begin(now - this.#loadedAt >= reloadIntervalMs && this.#config.getCurrentUser()?.exec === undefined)
  }

  /** Reads everything again, for the API server refused what there is. */
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
        // Whoever asked is told; whoever asks next tries again.
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
