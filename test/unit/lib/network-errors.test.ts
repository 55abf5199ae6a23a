import { describe, expect, it } from 'vitest'
import { describeNetworkError, isTlsError } from '../../../src/lib/network-errors.ts'

describe('describeNetworkError', () => {
  it.each([
    ['ENOTFOUND', 'unknown host (ENOTFOUND)'],
    ['ECONNREFUSED', 'connection refused (ECONNREFUSED)'],
    ['HPE_INVALID_CONSTANT', 'the port does not serve HTTP (HPE_INVALID_CONSTANT)'],
    ['EFOO', 'no connection (EFOO)'],
    ['PROXY_AUTHENTICATION_REQUIRED_407', 'the proxy requires authentication (PROXY_AUTHENTICATION_REQUIRED_407)'],
    ['PROXY_REFUSED_403', 'the proxy refuses to connect (HTTP 403)'],
    ['PROXY_ECONNREFUSED', 'cannot reach the proxy: connection refused (ECONNREFUSED)'],
    ['CERT_HAS_EXPIRED', 'the certificate has expired (CERT_HAS_EXPIRED)'],
    ['EPROTO', 'the port does not serve TLS (EPROTO)'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'the certificate is not trusted (SELF_SIGNED_CERT_IN_CHAIN)'],
    ['ERR_OSSL_PEM_NO_START_LINE', 'the client certificate or its key cannot be used (ERR_OSSL_PEM_NO_START_LINE)'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'the certificate is not trusted (UNABLE_TO_VERIFY_LEAF_SIGNATURE)'],
  ])('puts %s in words', (code, text) => {
    expect(describeNetworkError(code)).toBe(text)
  })
})

describe('isTlsError', () => {
  it.each([
    ['DEPTH_ZERO_SELF_SIGNED_CERT', true],
    ['ERR_SSL_WRONG_VERSION_NUMBER', true],
    ['INVALID_CA', true],
    ['ECONNRESET', false],
    ['PROXY_REFUSED_503', false],
    ['PROXY_CERT_HAS_EXPIRED', false],
    ['HPE_INVALID_CONSTANT', false],
    ['timed out', false],
  ])('returns for %s: %s', (code, expected) => {
    expect(isTlsError(code)).toBe(expected)
  })
})
