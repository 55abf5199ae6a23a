import { describe, expect, it } from 'vitest'
import { httpFailure, unreachable } from '../../../src/enos/failure.ts'

const request = { operation: 'get', gatewayUrl: 'https://apim.example.com', timeoutMs: 10_000 } as const
const plain = { ...request, gatewayUrl: 'http://apim.example.com' }
const distrusted = 'cannot reach https://apim.example.com: the certificate is not trusted (SELF_SIGNED_CERT_IN_CHAIN)'

describe('unreachable', () => {
  it.each([
    ['without', undefined, '; name its CA in spec.gateway.caRef'],
    ['with', 'PEM', '; name its CA in spec.gateway.caRef: the certificates there did not sign it'],
  ])('tells of an untrusted certificate %s a CA to correct caRef', (_, ca, remedy) => {
    const { message } = unreachable({ ...request, ...(ca === undefined ? {} : { ca }) }, 'SELF_SIGNED_CERT_IN_CHAIN')
    expect(message).toBe(`${distrusted}${remedy}`)
  })

  it('suspects a port of TLS where it cuts a connection of plain HTTP', () => {
    expect(unreachable(plain, 'UND_ERR_SOCKET').message).toMatch(/; if the port serves TLS, use https:\/\/$/)
    expect(unreachable(plain, 'ECONNREFUSED').message).not.toContain('TLS')
    expect(unreachable(request, 'UND_ERR_SOCKET').message).not.toContain('TLS')
  })
})

describe('httpFailure', () => {
  const answer = { retryAfterMs: undefined, code: undefined }

  it('suspects a port of TLS where it answers plain HTTP with 400', () => {
    expect(httpFailure(plain, { ...answer, status: 400 }).message).toMatch(/; if the port serves TLS, use https:\/\/$/)
    expect(httpFailure(plain, { ...answer, status: 403 }).message).not.toContain('TLS')
    expect(httpFailure(request, { ...answer, status: 400 }).message).not.toContain('TLS')
  })
})
