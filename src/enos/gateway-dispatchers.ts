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
/**
 * Time for connecting, in ms: the longest of these that is not longer than the call may take. The addresses of a name
 * share it, so that a dead one leaves time for the next. The steps keep the number of dispatchers small.
 */
const connectTimeoutsMs = [10_000, 5000, 2000, 1000] as const
const minConnectTimeoutMs = 500

/** Connections to gateways: kept alive, TLS verified, one dispatcher for each set of CAs, tlsServerName and time. */
export class GatewayDispatchers {
  readonly #selectProxy: ProxySelector
  /** At most `maxDispatchers`, in the order of last use. */
  readonly #byTerms = new Map<string, GatewayConnections>()

  constructor({ proxy }: GatewayDispatchersOptions) {
    this.#selectProxy = createProxySelector(proxy)
  }

  /** @param callTimeoutMs for the whole call */
  for({ ca, tlsServerName }: GatewayTls, callTimeoutMs: number): Dispatcher {
    const timeoutMs = connectTimeoutsMs.find((one) => one <= callTimeoutMs) ?? minConnectTimeoutMs
    // No name and no PEM has a NUL.
    const key = `${timeoutMs}\0${tlsServerName ?? ''}\0${ca ?? ''}`
    const connections =
      this.#byTerms.get(key) ?? new GatewayConnections({ ca, tlsServerName, timeoutMs }, this.#selectProxy)
    // Inserted again, so that the map is in the order of last use.
    this.#byTerms.delete(key)
    this.#byTerms.set(key, connections)
    const leastRecent = this.#byTerms.size > maxDispatchers ? this.#byTerms.entries().next().value : undefined
    if (leastRecent !== undefined) {
      this.#byTerms.delete(leastRecent[0])
      leastRecent[1].close().catch(ignoreClosing)
    }
    return connections.dispatcher
  }

  async close(): Promise<void> {
    await Promise.all([...this.#byTerms.values()].map((connections) => connections.destroy()))
  }
}

interface ConnectionTerms extends GatewayTls {
  /** For connecting, in ms. */
  readonly timeoutMs: number
}

/** The connections that one set of TLS options may use: direct ones, and those through each proxy. */
class GatewayConnections {
  readonly dispatcher: Dispatcher
  readonly #direct: Agent
  /** By URL. At most two: a proxy for http:// and one for https://. */
  readonly #proxies = new Map<string, Dispatcher>()
  readonly #createProxy: (uri: string) => Dispatcher
  #isClosed = false

  constructor({ ca, timeoutMs, tlsServerName: servername }: ConnectionTerms, selectProxy: ProxySelector) {
    let secureContext: SecureContext | undefined
    const createSecureContext = (): SecureContext =>
      (secureContext ??= createTrustingContext(ca === undefined ? {} : { ca: [...trustedCas(), ca] }))
    this.#direct = new Agent({
      allowH2: false,
      connect: createConnector({
        createSecureContext,
        servername,
        allowH2: false,
        timeoutMs,
        checkAddresses: refuseLinkLocal,
      }),
    })
    this.#createProxy = (uri) =>
      createProxyAgent(uri, {
        connectTimeoutMs: timeoutMs,
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
