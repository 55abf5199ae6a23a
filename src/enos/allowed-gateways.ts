/** `host` (any port) or `host:port`; `*.` at the start stands for one or more labels. */
export type GatewayPattern = string

const shape = /^(?:\*\.)?[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?(?::[0-9]{1,5})?$|^\[[0-9a-f:.]+\](?::[0-9]{1,5})?$/i

/** Whether a text is a pattern of `--allowed-gateways`. */
export function isGatewayPattern(text: string): boolean {
  return shape.test(text)
}

/**
 * Whether a gateway may be called.
 *
 * @param patterns empty: any gateway
 */
export function isGatewayAllowed(patterns: readonly GatewayPattern[], gatewayUrl: string): boolean {
  if (patterns.length === 0) return true
  const { hostname, port, protocol } = new URL(gatewayUrl)
  const presentPort = port === '' ? (protocol === 'https:' ? '443' : '80') : port
  return patterns.some((pattern) => {
    const [, host = '', wantedPort = presentPort] = /^(.*?)(?::([0-9]+))?$/.exec(pattern.toLowerCase()) ?? []
    if (wantedPort !== presentPort) return false
    return host.startsWith('*.') ? isBelow(hostname, host.slice(1)) : hostname === host
  })
}

function isBelow(hostname: string, suffix: string): boolean {
  return hostname.length > suffix.length && hostname.endsWith(suffix) && !hostname.startsWith('.')
}
