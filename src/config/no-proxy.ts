import { BlockList, isIP, isIPv6 } from 'node:net'
import { InvalidValueError } from './flags.ts'

/** One entry of NO_PROXY. */
export interface NoProxyEntry {
  /** @param host without brackets and trailing dot, in lower case */
  readonly matches: (host: string) => boolean
  /** Undefined: any port. */
  readonly port: number | undefined
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

const expected = 'expected names, .suffixes, *, addresses or networks such as 10.0.0.0/8, each but a network with :port'

/**
 * Parses NO_PROXY: a list separated by commas or blanks. `example.com` and `.example.com` match the name and all names
 * below, `*.example.com` only names below, `*` everything. Names are not resolved to be matched with networks.
 *
 * @param variable for the message
 * @throws InvalidValueError that quotes the invalid entry
 */
export function parseNoProxy(text: string, variable: string): readonly NoProxyEntry[] {
  return text
    .split(/[,\s]+/)
    .filter((entry) => entry !== '')
    .map((entry) => {
      const parsed = parseEntry(entry.toLowerCase())
      if (parsed !== undefined) return parsed
      // A proxy's URL, put here by mistake, may hold a password.
      const seen = entry.includes('@') ? '' : `seen ${JSON.stringify(entry.slice(0, 80))}, `
      throw new InvalidValueError(`${variable}: ${seen}${expected}`)
    })
}

export function isExempt(target: URL, entries: readonly NoProxyEntry[]): boolean {
  const host = target.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  const port = target.port === '' ? (target.protocol === 'https:' ? 443 : 80) : Number(target.port)
  return entries.some((entry) => (entry.port === undefined || entry.port === port) && entry.matches(host))
}

/** @param hostname of a URL */
export function isLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '')
  return host === 'localhost' || (isIP(host) > 0 && loopback.check(host, isIPv6(host) ? 'ipv6' : 'ipv4'))
}

function parseEntry(entry: string): NoProxyEntry | undefined {
  if (entry.includes('/')) return parseNetwork(entry)
  if (isIPv6(entry)) return { matches: addressMatcher(entry), port: undefined }
  const [, bracketed, plain = '', portText] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(entry) ?? []
  const port = portText === undefined ? undefined : Number(portText)
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined
  if (bracketed !== undefined) return isIPv6(bracketed) ? { matches: addressMatcher(bracketed), port } : undefined
  if (plain === '*') return { matches: () => true, port }
  if (isIP(plain) > 0) return { matches: addressMatcher(plain), port }
  return parseName(plain, port)
}

function parseName(text: string, port: number | undefined): NoProxyEntry | undefined {
  const [, prefix = '', name = ''] = /^(\*?\.)?([^*@.](?:[^*@]*[^*@.])?)\.?$/.exec(text) ?? []
  if (name === '') return undefined
  const suffix = `.${name}`
  return { matches: (host) => host.endsWith(suffix) || (prefix !== '*.' && host === name), port }
}

function parseNetwork(entry: string): NoProxyEntry | undefined {
  const [, address = '', prefixText = ''] = /^\[?([0-9a-f.:]+)\]?\/(\d{1,3})$/.exec(entry) ?? []
  const family = isIP(address)
  const prefix = Number(prefixText)
  if (family === 0 || prefix > (family === 6 ? 128 : 32)) return undefined
  const network = new BlockList()
  network.addSubnet(address, prefix, family === 6 ? 'ipv6' : 'ipv4')
  return { matches: blockListMatcher(network), port: undefined }
}

function addressMatcher(text: string): NoProxyEntry['matches'] {
  // A zone is of this machine, and no URL can name one.
  const address = text.replace(/%.*$/, '')
  const list = new BlockList()
  list.addAddress(address, isIPv6(address) ? 'ipv6' : 'ipv4')
  return blockListMatcher(list)
}

function blockListMatcher(list: BlockList): NoProxyEntry['matches'] {
  return (host) => isIP(host) > 0 && list.check(host, isIPv6(host) ? 'ipv6' : 'ipv4')
}
