import type { SecureContext } from 'node:tls'
import { type Dispatcher, ProxyAgent } from 'undici'
import { attemptTimeoutMs } from './connector.ts'
import { createTrustingContext } from './trusted-cas.ts'

export interface ProxyAgentOptions {
  /** For the connection to the proxy, and for TLS through it, in ms. */
  readonly connectTimeoutMs: number
  readonly allowH2: boolean
  /** TLS options of the server behind the proxy. */
  readonly requestTls: {
    readonly secureContext: SecureContext
    readonly servername?: string
    readonly rejectUnauthorized?: boolean
  }
  /** Further options of undici's pools. */
  readonly pools?: Omit<ProxyAgent.Options, 'uri' | 'requestTls' | 'proxyTls' | 'allowH2' | 'token' | 'auth'>
}

/** The addresses of a proxy are not counted beforehand; this many share the time for connecting. */
const assumedAddresses = 4

/**
 * An agent whose errors say where the proxy, and not the server behind it, is at fault.
 *
 * @param uri with credentials, if the proxy asks for any
 */
export function createProxyAgent(uri: string, options: ProxyAgentOptions): Dispatcher {
  const { allowH2, connectTimeoutMs: timeout, pools = {}, requestTls } = options
  const { protocol } = new URL(uri)
  const proxyTls = {
    timeout,
    autoSelectFamilyAttemptTimeout: attemptTimeoutMs(timeout, assumedAddresses),
    ...(protocol === 'https:' ? { secureContext: createTrustingContext({}) } : {}),
  }
  const agent = new ProxyAgent({
    ...pools,
    uri,
    allowH2,
    requestTls: { ...requestTls, timeout },
    // undici takes TLS options as a sign that a SOCKS proxy is reached by TLS.
    ...(protocol.startsWith('socks') ? {} : { proxyTls }),
  })
  return agent.compose((dispatch) => (request, handler) => dispatch(request, withProxyErrors(handler)))
}

/** Makes a handler's errors say where the proxy, and not the server behind it, is at fault. */
function withProxyErrors(handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler {
  let isFailed = false
  return {
    onRequestStart: (controller, context) => handler.onRequestStart?.(controller, context),
    onRequestUpgrade: (...upgrade) => handler.onRequestUpgrade?.(...upgrade),
    onResponseStart: (...start) => handler.onResponseStart?.(...start),
    // undici fails a 407 to a request without a tunnel, and then passes on the body.
    onResponseData: (controller, chunk) => {
      if (!isFailed) handler.onResponseData?.(controller, chunk)
    },
    onResponseEnd: (controller, trailers) => {
      if (!isFailed) handler.onResponseEnd?.(controller, trailers)
    },
    onResponseError: (controller, error) => {
      if (isFailed) return
      isFailed = true
      handler.onResponseError?.(controller, explainProxyError(error))
    },
  }
}

const authenticationRequired = 'PROXY_AUTHENTICATION_REQUIRED_407'

/** A proxy could not be reached, or refused a request. `code` says which, and names no credentials. */
class ProxyError extends Error {
  override readonly name = 'ProxyError'
  readonly code: string

  constructor(code: string) {
    super(`the proxy failed: ${code}`)
    this.code = code
  }
}

/**
 * @param error of a request that went through undici's ProxyAgent
 * @returns a ProxyError where the proxy is at fault, else the same error
 */
function explainProxyError(error: Error): Error {
  // undici tells the status of a proxy's response in its message only.
  if (error.message === 'Proxy Authentication Required (407)') return new ProxyError(authenticationRequired)
  const [, status] = /^Proxy response \((\d{3})\) !== 200/.exec(error.message) ?? []
  if (status !== undefined) return new ProxyError(status === '407' ? authenticationRequired : `PROXY_REFUSED_${status}`)
  // Through a proxy, each connection and each name that is looked up is the proxy's.
  if ('syscall' in error && (error.syscall === 'connect' || error.syscall === 'getaddrinfo') && 'code' in error) {
    return new ProxyError(`PROXY_${String(error.code)}`)
  }
  return error
}
