import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { BlockList, isIP, isIPv6 } from 'node:net'
// Not a named import: an old Node has no getCACertificates and would fail before node-version.ts can say so.
import tls from 'node:tls'
import { Agent, buildConnector, type Dispatcher, EnvHttpProxyAgent } from 'undici'
import type { ProxyConfig } from '../config/proxy.ts'

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

/**
 * Clouds serve the node's credentials at link-local addresses (169.254.169.254). A tenant's URL must not reach them,
 * neither by address nor by a name that resolves to one.
 */
const linkLocal = new BlockList()
linkLocal.addSubnet('169.254.0.0', 16, 'ipv4')
linkLocal.addSubnet('fe80::', 10, 'ipv6')
linkLocal.addAddress('fd00:ec2::254', 'ipv6')

/** Connections to gateways: kept alive, TLS verified, one dispatcher for each pair of CAs and tlsServerName. */
export class GatewayDispatchers {
  readonly #options: GatewayDispatchersOptions
  readonly #byTls = new Map<string, Dispatcher>()

  constructor(options: GatewayDispatchersOptions) {
    this.#options = options
  }

  for({ ca, tlsServerName }: GatewayTls): Dispatcher {
    // No name and no PEM has a NUL.
    const key = `${tlsServerName ?? ''}\0${ca ?? ''}`
    const dispatcher = this.#byTls.get(key) ?? createDispatcher({ ca, tlsServerName }, this.#options.proxy)
    // Inserted again, so that the map is in the order of last use.
    this.#byTls.delete(key)
    this.#byTls.set(key, dispatcher)
    const leastRecent = this.#byTls.size > maxDispatchers ? this.#byTls.entries().next().value : undefined
    if (leastRecent !== undefined) {
      this.#byTls.delete(leastRecent[0])
      leastRecent[1].close().catch(ignoreClosing)
    }
    return dispatcher
  }

  async close(): Promise<void> {
    await Promise.all([...this.#byTls.values()].map((dispatcher) => dispatcher.destroy()))
  }
}

interface RequestTls {
  readonly ca?: string[]
  readonly servername?: string
}

function createDispatcher({ ca, tlsServerName }: GatewayTls, proxy: ProxyConfig): Dispatcher {
  const { httpProxy, httpsProxy, noProxy } = proxy
  const requestTls: RequestTls = {
    ...(ca === undefined ? {} : { ca: [...tls.getCACertificates('default'), ca] }),
    ...(tlsServerName === undefined ? {} : { servername: tlsServerName }),
  }
  const options = { connect: guardedConnector(requestTls), allowH2: false }
  if ((httpProxy ?? '') === '' && (httpsProxy ?? '') === '') return new Agent(options)
  // Not undefined: undici would read the environment itself.
  return new EnvHttpProxyAgent({
    ...options,
    requestTls,
    httpProxy: httpProxy ?? '',
    httpsProxy: httpsProxy ?? '',
    noProxy: noProxy ?? '',
  }).compose(refuseLinkLocal)
}

/** Checks the host before a proxy gets it: the proxy resolves names, so only addresses can be checked. */
function refuseLinkLocal(dispatch: Dispatcher['dispatch']): Dispatcher['dispatch'] {
  return (options, handler) => {
    if (isLinkLocalHost(new URL(String(options.origin)).hostname)) throw new LinkLocalError()
    return dispatch(options, handler)
  }
}

/** Refuses link-local addresses: in the URL, and in the answers of DNS. */
function guardedConnector(requestTls: RequestTls): buildConnector.connector {
  const connect = buildConnector({ ...requestTls, allowH2: false, timeout: connectTimeoutMs, lookup: guardedLookup })
  const { servername } = requestTls
  return (options, callback) => {
    if (isLinkLocalHost(options.hostname)) callback(new LinkLocalError(), null)
    // undici prefers the name of the Host header to that of the connector.
    else connect(servername === undefined ? options : { ...options, servername }, callback)
  }
}

function guardedLookup(
  hostname: string,
  options: LookupOptions,
  callback: (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void,
): void {
  dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
    const refused = error === null && addresses.some(({ address }) => isLinkLocal(address))
    if (error !== null) callback(error, [])
    else if (refused) callback(new LinkLocalError(), [])
    else if (options.all === true) callback(null, addresses)
    else callback(null, addresses[0]?.address ?? '', addresses[0]?.family)
  })
}

function isLinkLocalHost(hostname: string): boolean {
  const address = hostname.replace(/^\[|\]$/g, '')
  return isIP(address) > 0 && isLinkLocal(address)
}

function isLinkLocal(address: string): boolean {
  return linkLocal.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}

class LinkLocalError extends Error {
  override readonly name = 'LinkLocalError'
  readonly code = 'LINK_LOCAL_ADDRESS_REFUSED'

  constructor() {
    super('link-local addresses are refused')
  }
}

function ignoreClosing(): void {
  // Each call reports its own error.
}
