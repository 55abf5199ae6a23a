const networkErrors: Readonly<Record<string, string>> = {
  ENOTFOUND: 'unknown host',
  EAI_AGAIN: 'DNS does not answer',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection closed',
  UND_ERR_SOCKET: 'connection closed',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'no route to host',
  EADDRNOTAVAIL: 'no route to host',
  ETIMEDOUT: 'no connection in time',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  LINK_LOCAL_ADDRESS_REFUSED: 'link-local addresses are refused',
  UND_ERR_ABORTED: 'the proxy refuses to connect',
  PROXY_AUTHENTICATION_REQUIRED_407: 'the proxy requires authentication',
}

const noTls = 'the port does not serve TLS'
const tlsErrors: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is valid for other hosts',
  EPROTO: noTls,
  ERR_SSL_WRONG_VERSION_NUMBER: noTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: noTls,
}

const tlsCode = /CERT|SELF_SIGNED|TLS|SSL|UNABLE_TO|ISSUER|SIGNATURE|EPROTO|INVALID_CA/

/** Whether the code of a Node error is one of TLS: a connection was made, and no secure one. */
export function isTlsError(code: string): boolean {
  return tlsCode.test(code) && !isProxyError(code)
}

/** Whether a TLS server may be what answers plain HTTP so: it closes the connection, or sends what is not HTTP. */
export function isCutConnection(code: string): boolean {
  return code.startsWith('HPE_') || ['ECONNRESET', 'UND_ERR_SOCKET', 'EPIPE'].includes(code)
}

/** Whether the code is of a proxy's failure (lib/proxy-agent.ts). */
export function isProxyError(code: string): boolean {
  return code.startsWith('PROXY_') || code === 'UND_ERR_ABORTED'
}

/**
 * The code of a network or TLS error in words: `connection refused (ECONNREFUSED)`.
 *
 * @param unknown the words for a code that is not known
 */
export function describeNetworkError(code: string, unknown = 'no connection'): string {
  const [, status] = /^PROXY_REFUSED_(\d{3})$/.exec(code) ?? []
  if (status !== undefined) return `the proxy refuses to connect (HTTP ${status})`
  const [, proxyCode] = /^PROXY_(E[A-Z_]+)$/.exec(code) ?? []
  if (proxyCode !== undefined) return `cannot reach the proxy: ${describeNetworkError(proxyCode)}`
  // OpenSSL refused what it was given, before any connection: it is no PEM, or the key belongs to another certificate.
  if (code.startsWith('ERR_OSSL_')) return `the client certificate or its key cannot be used (${code})`
  const words = isTlsError(code) ? (tlsErrors[code] ?? 'the certificate is not trusted') : networkErrors[code]
  // The HTTP parser: what came is not HTTP. A TLS server answers plain HTTP with bytes of this kind.
  return `${words ?? (code.startsWith('HPE_') ? 'the port does not serve HTTP' : unknown)} (${code})`
}
