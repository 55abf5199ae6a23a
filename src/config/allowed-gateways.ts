/** `host` (any port) or `host:port`; `*.` at the start stands for one or more labels. */
export type GatewayPattern = string

const patternFormat = /^(\*\.)?([a-z0-9](?:[-a-z0-9.]*[a-z0-9])?|(?<!\*\.)\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?$/i

interface Pattern {
  readonly isWildcard: boolean
  /** Normalised as URL.hostname does it: one address has many spellings. */
  readonly host: string
  readonly port: number | undefined
}

/** Whether the text is a valid pattern of `--allowed-gateways`. */
export function isGatewayPattern(text: string): boolean {
  return parsePattern(text) !== undefined
}

/**
 * Whether a gateway may be called.
 *
 * @param patterns empty: any gateway
 */
export function isGatewayAllowed(patterns: readonly GatewayPattern[], gatewayUrl: string): boolean {
  if (patterns.length === 0) return true
  const { hostname, port, protocol } = new URL(gatewayUrl)
  const gatewayPort = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
  return patterns.some((text) => {
    const pattern = parsePattern(text)
    if (pattern === undefined || (pattern.port ?? gatewayPort) !== gatewayPort) return false
    return pattern.isWildcard ? isSubdomain(hostname, `.${pattern.host}`) : hostname === pattern.host
  })
}

function parsePattern(text: string): Pattern | undefined {
  const [, wildcard, hostText = '', port] = patternFormat.exec(text) ?? []
  const url = `http://${hostText}`
  if (hostText === '' || !URL.canParse(url)) return undefined
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) return undefined
  const isWildcard = wildcard !== undefined
  const host = isWildcard ? hostText.toLowerCase() : new URL(url).hostname
  return { isWildcard, host, port: port === undefined ? undefined : Number(port) }
}

function isSubdomain(hostname: string, suffix: string): boolean {
  return hostname.length > suffix.length && hostname.endsWith(suffix) && !hostname.startsWith('.')
}
