/** `host` (any port) or `host:port`; `*.` at the start stands for one or more labels. */
export type GatewayPattern = string

const shape = /^(\*\.)?([a-z0-9](?:[-a-z0-9.]*[a-z0-9])?|(?<!\*\.)\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?$/i

interface Pattern {
  readonly isWildcard: boolean
  /** As the hostname of a URL is written: addresses have many spellings. */
  readonly host: string
  readonly port: number | undefined
}

/** Whether a text is a pattern of `--allowed-gateways`. */
export function isGatewayPattern(text: string): boolean {
  return readPattern(text) !== undefined
}

/**
 * Whether a gateway may be called.
 *
 * @param patterns empty: any gateway
 */
export function isGatewayAllowed(patterns: readonly GatewayPattern[], gatewayUrl: string): boolean {
  if (patterns.length === 0) return true
  const { hostname, port, protocol } = new URL(gatewayUrl)
  const presentPort = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
  return patterns.some((text) => {
    const pattern = readPattern(text)
    if (pattern === undefined || (pattern.port ?? presentPort) !== presentPort) return false
    return pattern.isWildcard ? isBelow(hostname, `.${pattern.host}`) : hostname === pattern.host
  })
}

function readPattern(text: string): Pattern | undefined {
  const [, wildcard, written = '', port] = shape.exec(text) ?? []
  const url = `http://${written}`
  if (written === '' || !URL.canParse(url)) return undefined
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) return undefined
  const isWildcard = wildcard !== undefined
  const host = isWildcard ? written.toLowerCase() : new URL(url).hostname
  return { isWildcard, host, port: port === undefined ? undefined : Number(port) }
}

function isBelow(hostname: string, suffix: string): boolean {
  return hostname.length > suffix.length && hostname.endsWith(suffix) && !hostname.startsWith('.')
}
