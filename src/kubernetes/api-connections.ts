import type { SecureContext } from 'node:tls'
import { Agent, type Dispatcher, errors, Pool } from 'undici'
import type { Clock } from '../lib/clock.ts'
import { createConnector } from '../lib/connector.ts'
import { createProxyAgent } from '../lib/proxy-agent.ts'
import { createTrustingContext } from '../lib/trusted-cas.ts'
import type { Connection } from './auth.ts'

/** Time for the calls in flight on connections whose credentials were rotated; after it they fail and watches reconnect. */
const retireAfterMs = 30_000
const connectTimeoutMs = 10_000
/** Interval of HTTP/2 PINGs, which detect a dead connection. */
const pingIntervalMs = 15_000
/** Bounds the calls over HTTP/1.1. One HTTP/2 connection carries all calls. */
const maxCallConnections = 64
/** undici itself sends a refused request once more. */
const maxGoAwayRetries = 3

/**
 * The kept-alive connections to the API server for one set of credentials, over HTTP/2 where the server offers it.
 * Watches have connections of their own: over HTTP/1.1 each watch takes one for minutes, and watches of many namespaces
 * would leave none for calls such as the renewal of the lease.
 */
export class ApiConnections {
  readonly identity: string
  readonly server: URL
  readonly calls: Dispatcher
  readonly watches: Dispatcher
  /**
   * The pools of both dispatchers. undici replaces a pool each time that its last connection got GOAWAY or was closed. A
   * replaced pool leaves the set when its calls have ended and the next pool is made, so the set holds at most one pool
   * for calls, one for watches, one that was replaced, and one for each watch that outlasts a GOAWAY, up to 10 minutes.
   */
  readonly #pools = new Set<Pool>()

  constructor({ allowH2, identity, proxyUrl, server, tls }: Connection) {
    this.identity = identity
    this.server = new URL(server)
    const { rejectUnauthorized, servername, ...material } = tls
    let secureContext: SecureContext | undefined
    const createSecureContext = (): SecureContext => (secureContext ??= createTrustingContext(material))
    const create = (connections: number | null): Dispatcher => {
      const common = {
        allowH2,
        connections,
        keepAliveTimeout: 60_000,
        h2Options: { pingInterval: pingIntervalMs, maxConcurrentStreams: 100 },
        factory: (origin: string | URL, options: object): Pool => this.#createPool(origin, options),
      }
      if (proxyUrl === undefined) {
        const timeoutMs = connectTimeoutMs
        const connect = createConnector({ createSecureContext, servername, rejectUnauthorized, allowH2, timeoutMs })
        return new Agent({ ...common, connect })
      }
      return createProxyAgent(proxyUrl, {
        connectTimeoutMs,
        allowH2,
        requestTls: {
          secureContext: createSecureContext(),
          ...(servername === undefined ? {} : { servername }),
          ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
        },
        pools: common,
      })
    }
    this.calls = create(maxCallConnections)
    // As many as there are watches: a few for each namespace that is watched.
    this.watches = create(null)
  }

  /**
   * Sends a request, and again where GOAWAY came before the server took it: then nothing was executed (RFC 9113, 6.8),
   * whatever the method.
   */
  async request(via: 'calls' | 'watches', options: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData> {
    for (let retries = 0; ; retries++) {
      try {
        return await this[via].request(options)
      } catch (error) {
        if (retries === maxGoAwayRetries || !isRefusedByGoAway(error)) throw error
      }
    }
  }

  get poolCount(): number {
    return this.#pools.size
  }

  /**
   * Refuses new calls, and breaks those that are still in flight after 30 s; but a watch on a connection that got GOAWAY
   * goes on to its own end, since undici no longer holds that connection.
   */
  retire(clock: Clock): void {
    const ignore = (): void => {
      // Each call reports its own error.
    }
    for (const dispatcher of [this.calls, this.watches]) dispatcher.close().catch(ignore)
    clock.setTimer(retireAfterMs, () => {
      // A closed Agent no longer holds its pools: to destroy it would do nothing.
      for (const pool of this.#pools) pool.destroy().catch(ignore)
      this.#pools.clear()
    })
  }

  /** Breaks all calls. */
  async destroy(): Promise<void> {
    await Promise.all([this.calls.destroy(), this.watches.destroy()])
  }

  #createPool(origin: string | URL, options: object): Pool {
    for (const pool of this.#pools) if (pool.destroyed) this.#pools.delete(pool)
    const pool = new Pool(origin, options)
    this.#pools.add(pool)
    return pool
  }
}

/** undici has no code of its own for it. A request that the server has taken goes on after GOAWAY. */
function isRefusedByGoAway(error: unknown): boolean {
  return error instanceof errors.InformationalError && error.message.includes('"GOAWAY" frame received')
}
