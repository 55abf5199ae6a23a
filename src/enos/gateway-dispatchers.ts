import type { SecureContext } from 'node:tls'
import { Agent, type Dispatcher } from 'undici'
import { createProxySelector, type ProxyConfig, type ProxySelector } from '../config/proxy.ts'
import { createConnector } from '../lib/connector.ts'
import { createProxyAgent } from '../lib/proxy-agent.ts'
import { createTrustingContext, trustedCas } from '../lib/trusted-cas.ts'
import { refuseLinkLocal } from './link-local.ts'

export interface GatewayDispatchersOptions {
  readonly proxy: ProxyConfig
}

/** TLS options of a gateway. */
export interface GatewayTls {
  /** Certificates (PEM) to trust besides the system's. */
  readonly ca: string | undefined
  /** Name to ask for by SNI and to find in the certificate; undefined: the host of the URL. */
  readonly tlsServerName: string | undefined
}

/** Dispatchers kept; beyond this, the least recently used one is closed. */
const maxDispatchers = 100
const connectTimeoutMs = 10_000

/** Connections to gateways: kept alive, TLS verified, one dispatcher for each pair of CAs and tlsServerName. */
export class GatewayDispatchers {
  readonly #selectProxy: ProxySelector
  readonly #byTls = new Map<string, GatewayConnections>()

  constructor({ proxy }: GatewayDispatchersOptions) {
    this.#selectProxy = createProxySelector(proxy)
  }

  for({ ca, tlsServerName }: GatewayTls): Dispatcher {
    // No name and no PEM has a NUL.
    const key = `${tlsServerName ?? ''}\0${ca ?? ''}`
    const connections = this.#byTls.get(key) ?? new GatewayConnections({ ca, tlsServerName }, this.#selectProxy)
    // Inserted again, so that the map is in the order of last use.
    this.#byTls.delete(key)
    this.#byTls.set(key, connections)
    const leastRecent = this.#byTls.size > maxDispatchers ? this.#byTls.entries().next().value : undefined
    if (leastRecent !== undefined) {
      this.#byTls.delete(leastRecent[0])
      leastRecent[1].close().catch(ignoreClosing)
    }
    return connections.dispatcher
  }

  async close(): Promise<void> {
    await Promise.all([...this.#byTls.values()].map((connections) => connections.destroy()))
  }
}

/** The connections that one set of TLS options may use: direct ones, and those through each proxy. */
class GatewayConnections {
  readonly dispatcher: Dispatcher
  readonly #direct: Agent
  /** By URL. At most two: a proxy for http:// and one for https://. */
  readonly #proxies = new Map<string, Dispatcher>()
  readonly #createProxy: (uri: string) => Dispatcher
  #isClosed = false

  constructor({ ca, tlsServerName: servername }: GatewayTls, selectProxy: ProxySelector) {
    let secureContext: SecureContext | undefined
    const createSecureContext = (): SecureContext =>
      (secureContext ??= createTrustingContext(ca === undefined ? {} : { ca: [...trustedCas(), ca] }))
    this.#direct = new Agent({
      allowH2: false,
      connect: createConnector({
        createSecureContext,
        servername,
        allowH2: false,
        timeoutMs: connectTimeoutMs,
        checkAddresses: refuseLinkLocal,
      }),
    })
    this.#createProxy = (uri) =>
      createProxyAgent(uri, {
        connectTimeoutMs,
        allowH2: false,
        requestTls: { secureContext: createSecureContext(), ...(servername === undefined ? {} : { servername }) },
      })
    this.dispatcher = this.#direct.compose((dispatch) => (options, handler) => {
      const target = new URL(String(options.origin))
      // A proxy resolves names itself, so only addresses can be refused before it gets them.
      refuseLinkLocal([target.hostname])
      const uri = selectProxy(target)
      // Once closed, the direct dispatcher answers with the error that says so.
      if (uri === undefined || this.#isClosed) return dispatch(options, handler)
      return this.#proxyFor(uri).dispatch(options, handler)
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([this.#direct, ...this.#proxies.values()].map((one) => one.close()))
  }

  async destroy(): Promise<void> {
    this.#isClosed = true
    await Promise.all([this.#direct, ...this.#proxies.values()].map((one) => one.destroy()))
  }

  #proxyFor(uri: string): Dispatcher {
    const proxy = this.#proxies.get(uri) ?? this.#createProxy(uri)
    this.#proxies.set(uri, proxy)
    return proxy
  }
}

function ignoreClosing(): void {
  // Each call reports its own error.
}
