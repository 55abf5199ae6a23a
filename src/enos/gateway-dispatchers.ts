import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { BlockList, isIP, isIPv6 } from 'node:net'
// As a whole: a Node that is too old does not have getCACertificates, and is to be told by node-version.ts.
import tls from 'node:tls'
import { Agent, buildConnector, type Dispatcher, EnvHttpProxyAgent } from 'undici'
import type { ProxyConfig } from '../config/run-config.ts'

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
 * Link-local addresses are refused, in whatever way a name leads to them: clouds serve the node's own credentials there
 * (169.254.169.254), and a URL of a tenant must not reach them.
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
    // Set again, so that the map's order is that of the last use.
    this.#byTls.delete(key)
    this.#byTls.set(key, dispatcher)
    const oldest = this.#byTls.size > maxDispatchers ? this.#byTls.entries().next().value : undefined
    if (oldest !== undefined) {
      this.#byTls.delete(oldest[0])
      oldest[1].close().catch(ignoreClosing)
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
  // Empty, not undefined: only what the configuration read from the environment counts.
  return new EnvHttpProxyAgent({
    ...options,
    requestTls,
    httpProxy: httpProxy ?? '',
    httpsProxy: httpsProxy ?? '',
    noProxy: noProxy ?? '',
  }).compose(refuseLinkLocal)
}

/** A proxy connects in our place, so the address is looked at before it is told. What names mean is for it to know. */
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
  // Its calls report their own errors.
}
