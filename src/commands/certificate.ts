import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { TLSSocket } from 'node:tls'

/** The certificate of a gateway. */
export interface Certificate {
  /** Hosts for which it is valid. */
  readonly names: readonly string[]
  /** UNIX epoch, ms; undefined: the certificate was refused, and Node reports its hosts only. */
  readonly expiresAtWall?: number
}

/**
 * Runs `work` and returns the certificate of the gateway that was seen meanwhile. undici reports the connections that
 * `work` itself opens, through a proxy or not, so no second connection is needed.
 */
export async function watchCertificate<T>(
  gatewayUrl: string,
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly certificate: Certificate | undefined }> {
  const { hostname, port } = new URL(gatewayUrl)
  const host = hostname.replace(/^\[|\]$/g, '')
  let certificate: Certificate | undefined
  const isOfGateway = (message: object): boolean => {
    const params = 'connectParams' in message ? message.connectParams : undefined
    if (!isObject(params) || !('hostname' in params) || !('port' in params)) return false
    return params.hostname === host && params.port === port
  }
  const onConnected = (message: unknown): void => {
    if (!isObject(message) || !isOfGateway(message)) return
    const socket = 'socket' in message ? message.socket : undefined
    if (socket instanceof TLSSocket) certificate = presented(socket) ?? certificate
  }
  const onError = (message: unknown): void => {
    if (!isObject(message) || !isOfGateway(message)) return
    // Node adds `cert` when the certificate is valid for other hosts only.
    const error = 'error' in message ? message.error : undefined
    const refused = isObject(error) && 'cert' in error ? error.cert : undefined
    if (isObject(refused) && 'subjectaltname' in refused) certificate = { names: namesOf(refused.subjectaltname) }
  }
  subscribe('undici:client:connected', onConnected)
  subscribe('undici:client:connectError', onError)
  try {
    const result = await work()
    return { result, certificate }
  } finally {
    unsubscribe('undici:client:connected', onConnected)
    unsubscribe('undici:client:connectError', onError)
  }
}

function presented(socket: TLSSocket): Certificate | undefined {
  const x509 = socket.getPeerX509Certificate()
  return x509 && { names: namesOf(x509.subjectAltName), expiresAtWall: Date.parse(x509.validTo) }
}

/**
 * Parses the hosts of a subjectAltName such as `DNS:a.example.com, IP Address:10.0.0.1`. The gateway chooses this text:
 * entries that are not plain hosts are left out.
 */
export function namesOf(alternativeName: unknown): string[] {
  if (typeof alternativeName !== 'string') return []
  return [...alternativeName.matchAll(/(?:^|, )(?:DNS|IP Address):([-*.:\w]{1,253})(?=,|$)/g)].map(
    ([, name = '']) => name,
  )
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
