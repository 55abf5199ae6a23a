import { reasons } from '../api/v1alpha1/reasons.ts'
import type { Failure } from '../enos/failure.ts'
import { isCutConnection, isProxyError } from '../lib/network-errors.ts'

/** What the user corrects where a value is wrong: fields and keys of a resource, or flags and variables. */
export interface InputNames {
  readonly url: string
  readonly timeout: string
  readonly ca: string
  /** The CA that was used, with its place; undefined: none was given. */
  readonly usedCa?: string
  readonly tlsServerName: string
  readonly appKey: string
  readonly appSecret: string
  readonly headers: string
}

/** @param cause the code of the network error, or `timed out` */
export function adviceForReach(cause: string, isHttps: boolean, names: InputNames): string {
  if (!isHttps && isCutConnection(cause)) {
    return `Check that the port of ${names.url} serves http://: a port that serves https:// answers like this.`
  }
  if (cause === 'PROXY_AUTHENTICATION_REQUIRED_407') {
    return `Give user and password in ${isHttps ? 'HTTPS_PROXY' : 'HTTP_PROXY'}: http://USER:PASSWORD@HOST:PORT.`
  }
  if (isProxyError(cause)) {
    return `Check ${isHttps ? 'HTTPS_PROXY' : 'HTTP_PROXY'}, NO_PROXY and the rules of the proxy.`
  }
  switch (cause) {
    case 'ENOTFOUND':
      return `Correct the host of ${names.url}, or add it to the DNS that this machine uses.`
    case 'EAI_AGAIN':
      return 'Try again; then check the DNS that this machine uses.'
    case 'ECONNREFUSED':
      return `Correct host and port of ${names.url}, or start the gateway.`
    case 'timed out':
      return `Check firewalls and network policies, or raise ${names.timeout}.`
    case 'LINK_LOCAL_ADDRESS_REFUSED':
      return `Use the address of the gateway itself in ${names.url}.`
    default:
      return `Check host and port of ${names.url}, firewalls, network policies and HTTPS_PROXY.`
  }
}

/** @param cause the code of the TLS error */
export function adviceForTls(cause: string, names: InputNames): string {
  switch (cause) {
    case 'CERT_HAS_EXPIRED':
      return 'Have the gateway’s certificate renewed; check the clock of this machine.'
    case 'CERT_NOT_YET_VALID':
      return 'Check the clock of this machine and the gateway’s certificate.'
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `Use a host for which the certificate is valid in ${names.url}, or name one in ${names.tlsServerName}.`
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return `Correct the port of ${names.url}, or use http:// if the gateway serves it.`
    default:
      return names.usedCa === undefined
        ? `Trust the CA of the gateway with ${names.ca}.`
        : `Correct ${names.usedCa}: no certificate there signed that of the gateway.`
  }
}

export function adviceForFailure({ httpStatus, reason }: Failure, names: InputNames): string {
  switch (reason) {
    case 'AppKeyNotFound':
      return `Correct ${names.appKey}, or ${names.url}: the application must be registered at that gateway.`
    case 'InvalidAppSecret':
      return `Correct ${names.appSecret}.`
    case 'UnexpectedReply':
      return httpStatus !== undefined && httpStatus < 400
        ? `Use the final address in ${names.url}.`
        : `Check host, port and base path of ${names.url}.`
    case 'GatewayError':
      return 'Try again; if it stays, ask the operators of the gateway.'
    case 'GatewayRejected':
      return httpStatus !== undefined
        ? `Something in front of the token service refused the call: check its rules, and whether it expects a header (${names.headers}).`
        : `Check that ${names.appKey} and ${names.appSecret} are complete, and that the clocks agree.`
    default:
      return reasons[reason].whatToDo
  }
}
