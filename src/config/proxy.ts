import { InvalidValueError } from './flags.ts'
import { isExempt, parseNoProxy } from './no-proxy.ts'

/** The proxies of the environment. Undefined or empty: none. */
export interface ProxyConfig {
  /** URL of the proxy for http://. */
  readonly httpProxy: string | undefined
  /** URL of the proxy for https://. */
  readonly httpsProxy: string | undefined
  /** Hosts that are reached without a proxy, in the syntax of NO_PROXY. */
  readonly noProxy: string | undefined
}

/** @returns the URL of the proxy for a request; undefined: none */
export type ProxySelector = (target: URL) => string | undefined

type Environment = Readonly<Record<string, string | undefined>>

const hasScheme = /^[a-z][-+.a-z0-9]*:\/\//i
const protocols = ['http:', 'https:', 'socks5:', 'socks5h:']
const expected = 'expected [http://|https://|socks5://][user:password@]host[:port], with special characters as %XX'

/**
 * Parses HTTP_PROXY, HTTPS_PROXY and NO_PROXY as curl and Go do: the name in lower case goes first, an empty variable is
 * not set, and a proxy without a scheme is http://.
 *
 * @throws InvalidValueError that names the variable; a proxy is not quoted, because it may hold a password
 */
export function parseProxyConfig(environment: Environment): ProxyConfig {
  const noProxy = variable('NO_PROXY', environment)
  if (noProxy !== undefined) parseNoProxy(noProxy.text, noProxy.name)
  return {
    httpProxy: parseProxy(variable('HTTP_PROXY', environment)),
    httpsProxy: parseProxy(variable('HTTPS_PROXY', environment)),
    noProxy: noProxy?.text,
  }
}

/** Each scheme has its own proxy: https:// never falls back to HTTP_PROXY. */
export function createProxySelector({ httpProxy, httpsProxy, noProxy }: ProxyConfig): ProxySelector {
  const entries = parseNoProxy(noProxy ?? '', 'NO_PROXY')
  return (target) => {
    const proxy = target.protocol === 'https:' ? httpsProxy : httpProxy
    return proxy === undefined || proxy === '' || isExempt(target, entries) ? undefined : proxy
  }
}

interface Variable {
  readonly name: string
  readonly text: string
}

function variable(name: string, environment: Environment): Variable | undefined {
  return [name.toLowerCase(), name]
    .map((one) => ({ name: one, text: environment[one]?.trim() ?? '' }))
    .find(({ text }) => text !== '')
}

function parseProxy(variable: Variable | undefined): string | undefined {
  if (variable === undefined) return undefined
  const { name, text } = variable
  const url = URL.parse(hasScheme.test(text) ? text : `http://${text}`)
  if (url === null || !isProxy(url) || /[\s\p{Cc}]/u.test(text)) throw new InvalidValueError(`${name}: ${expected}`)
  // undici has the proxy resolve names in both cases, and knows the first scheme only.
  return url.href.replace(/^socks5h:/, 'socks5:')
}

function isProxy({ hash, hostname, password, pathname, port, protocol, search, username }: URL): boolean {
  const isBare = (pathname === '' || pathname === '/') && search === '' && hash === ''
  return protocols.includes(protocol) && hostname !== '' && port !== '0' && isBare && isEncoded(username + password)
}

function isEncoded(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    // A % without two hexadecimal digits, or not UTF-8.
    return false
  }
}
