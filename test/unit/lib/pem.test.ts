import { X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { certificatesProblem } from '../../../src/lib/pem.ts'
import { selfSigned } from '../../support/certificate.ts'

const { cert, key } = selfSigned()
const labelled = (label: string): string => cert.replaceAll('CERTIFICATE', label)

/** As `openssl x509 -trustout -addtrust serverAuth` writes it: the certificate, then what it is trusted for. */
function trusted(): string {
  const trust = Buffer.from('300c300a06082b06010505070301', 'hex')
  const base64 = Buffer.concat([new X509Certificate(cert).raw, trust]).toString('base64')
  return `-----BEGIN TRUSTED CERTIFICATE-----\n${base64.replace(/.{1,64}/g, '$&\n')}-----END TRUSTED CERTIFICATE-----\n`
}

const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
const headless = cert.replace(/-----END.*/, '')

describe('certificatesProblem', () => {
  it.each([
    ['one certificate', cert],
    ['several', cert + selfSigned().cert + cert],
    ['text between them', `# Corp root\n${cert}\nsubject=CN=x\n${cert}`],
    ['CRLF', cert.replaceAll('\n', '\r\n')],
    ['the label TRUSTED CERTIFICATE', trusted()],
    ['the label X509 CERTIFICATE', labelled('X509 CERTIFICATE')],
    ['a key beside', key + cert],
  ])('a bundle with %s has no problem', (_, text) => {
    expect(certificatesProblem(text)).toBeUndefined()
  })

  it.each([
    ['nothing', '', 'holds no certificates in PEM'],
    ['text', 'hello', 'holds no certificates in PEM'],
    ['a key', key, 'holds no certificates in PEM, but a PRIVATE KEY'],
    ['an unknown kind', '-----BEGIN HUNTER2-----\n-----END HUNTER2-----', 'holds no certificates in PEM'],
    ['a broken one', broken, 'holds an invalid certificate (number 1 of 1): it cannot be parsed'],
    [
      'a broken one in the middle',
      cert + broken + cert,
      'holds an invalid certificate (number 2 of 3): it cannot be parsed',
    ],
    ['one without an end', cert + headless, 'holds an invalid certificate (number 2 of 2): its END line is missing'],
    [
      'one without an end in the middle',
      cert + headless + cert,
      'holds an invalid certificate (number 2 of 3): its END line is missing',
    ],
    [
      'a truncated one',
      cert + cert.replace(/\n.{64}\n/, '\n'),
      'holds an invalid certificate (number 2 of 2): it cannot be parsed',
    ],
  ])('a bundle with %s has a problem', (_, text, problem) => {
    expect(certificatesProblem(text)).toBe(problem)
  })

  it('the problem of any text is one line without the text', () => {
    const piece = fc.oneof(fc.constantFrom('-----BEGIN ', '-----', 'CERTIFICATE', '-----END ', '\n', cert), fc.string())
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        expect(certificatesProblem(pieces.join('')) ?? 'holds ').toMatch(/^holds [\w ,():]*$/)
      }),
      { numRuns: 1000 },
    )
  })
})
