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
  UND_ERR_ABORTED: 'the proxy refuses to connect',
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
  return tlsCode.test(code)
}

/** The code of a network or TLS error in words: `connection refused (ECONNREFUSED)`. */
export function describeNetworkError(code: string): string {
  const words = isTlsError(code) ? (tlsErrors[code] ?? 'the certificate is not trusted') : networkErrors[code]
  // The HTTP parser: what came is not HTTP. A TLS server answers plain HTTP with bytes of this kind.
  return `${words ?? (code.startsWith('HPE_') ? 'the port does not serve HTTP' : 'no connection')} (${code})`
}
