import { BlockList, isIP, isIPv6 } from 'node:net'

/**
 * Clouds serve the node's credentials at link-local addresses (169.254.169.254). A tenant's URL must not reach them,
 * neither by address nor by a name that resolves to one.
 */
const linkLocal = new BlockList()
linkLocal.addSubnet('169.254.0.0', 16, 'ipv4')
linkLocal.addSubnet('fe80::', 10, 'ipv6')
linkLocal.addAddress('fd00:ec2::254', 'ipv6')

/** @throws LinkLocalError if one of the hosts is a link-local address; names are not resolved */
export function refuseLinkLocal(hosts: readonly string[]): void {
  for (const host of hosts) {
    const address = host.replace(/^\[|\]$/g, '')
    if (isIP(address) > 0 && linkLocal.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')) throw new LinkLocalError()
  }
}

export class LinkLocalError extends Error {
  override readonly name = 'LinkLocalError'
  readonly code = 'LINK_LOCAL_ADDRESS_REFUSED'

  constructor() {
    super('link-local addresses are refused')
  }
}
