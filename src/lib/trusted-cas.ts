// Not a named import: an old Node has no getCACertificates and would fail before node-version.ts can say so.
import tls from 'node:tls'

/** Certificates (PEM) of the system's store and of Node, NODE_EXTRA_CA_CERTS included. Node reads them once. */
export function trustedCas(): string[] {
  return [...new Set([...tls.getCACertificates('system'), ...tls.getCACertificates('default')])]
}

/**
 * @param options as of tls.createSecureContext. Without `ca` the certificates of the system and Node are trusted. A
 * certificate in `ca` is trusted as it is, an intermediate or a server's own too, as with curl and Go.
 */
export function createTrustingContext(options: tls.SecureContextOptions): tls.SecureContext {
  return tls.createSecureContext({ ...options, ca: options.ca ?? trustedCas(), allowPartialTrustChain: true })
}
