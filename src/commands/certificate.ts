import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { TLSSocket } from 'node:tls'

/** What a gateway's certificate says of itself. */
export interface Certificate {
  /** Hosts that it is for. */
  readonly names: readonly string[]
  /** UNIX epoch, ms; undefined: it was refused, and that is not known. */
  readonly expiresAtWall?: number
}

/**
 * Runs `work`, and looks at the certificate with which this host answers meanwhile, by what undici tells of its
 * connections: the very connection that is used, through a proxy or not, and none besides.
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
    // Node adds it where it is for other hosts than the one that was asked.
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
 * Hosts of a subjectAltName such as `DNS:a.example.com, IP Address:10.0.0.1`. It is an outsider's text: what is no host
 * is left out.
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
