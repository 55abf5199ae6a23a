import { lookup, type LookupAddress } from 'node:dns'
import { isIP } from 'node:net'
import type { SecureContext } from 'node:tls'
import { buildConnector } from 'undici'

export interface ConnectorOptions {
  /** Called for the first TLS connection; the context is used for all. */
  readonly createSecureContext: () => SecureContext
  /** Name to ask for by SNI and to find in the certificate; undefined: the host. */
  readonly servername?: string | undefined
  readonly rejectUnauthorized?: boolean | undefined
  readonly allowH2: boolean
  /** For TCP and TLS together, in ms. */
  readonly timeoutMs: number
  /** Throws to refuse the addresses of a host. */
  readonly checkAddresses?: (addresses: readonly string[]) => void
}

/** Least time for one address, in ms: Node's default for each. */
export const minAttemptTimeoutMs = 250

/**
 * A connector for undici in which the addresses of a name share the time for connecting equally. Node's default gives
 * each address but the last 250 ms. Over a slower link, a name with one more address that is unreachable then fails.
 */
export function createConnector(options: ConnectorOptions): buildConnector.connector {
  let secureContext: SecureContext | undefined
  return (target, callback) => {
    const { hostname, protocol } = target
    const connect = (addresses: readonly LookupAddress[]): void => {
      options.checkAddresses?.(addresses.map(({ address }) => address))
      if (protocol === 'https:') secureContext ??= options.createSecureContext()
      const { allowH2, rejectUnauthorized, servername, timeoutMs: timeout } = options
      const connector = buildConnector({
        ...(secureContext === undefined ? {} : { secureContext }),
        ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
        allowH2,
        timeout,
        keepAliveInitialDelay: 30_000,
        autoSelectFamilyAttemptTimeout: attemptTimeoutMs(timeout, addresses.length),
        lookup: (_, { all }, found) => {
          const [first] = addresses
          if (all === true) found(null, [...addresses])
          else found(null, first?.address ?? '', first?.family)
        },
      })
      // undici prefers the name of the Host header to that of the connector.
      connector(servername === undefined ? target : { ...target, servername }, callback)
    }
    const attempt = (addresses: readonly LookupAddress[]): void => {
      try {
        connect(addresses)
      } catch (error) {
        callback(error instanceof Error ? error : new Error('connection failed', { cause: error }), null)
      }
    }
    const family = isIP(hostname)
    if (family > 0) {
      attempt([{ address: hostname, family }])
    } else {
      lookup(hostname, { all: true }, (error, addresses) => {
        if (error === null) attempt(addresses)
        else callback(error, null)
      })
    }
  }
}

/** @returns ms for each of the addresses */
export function attemptTimeoutMs(timeoutMs: number, addresses: number): number {
  return Math.max(minAttemptTimeoutMs, Math.floor(timeoutMs / Math.max(1, addresses)))
}
