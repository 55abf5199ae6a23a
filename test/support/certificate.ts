import { generateKeyPairSync, sign, X509Certificate } from 'node:crypto'

export interface CertificateOptions {
  /** IPv4. Default 127.0.0.1. */
  readonly address?: readonly [number, number, number, number]
  /** DNS names besides the address. */
  readonly names?: readonly string[]
  /** The last year of validity. Default 2119. */
  readonly lastYear?: number
  /** Common name of the subject. Default `simulator`. */
  readonly subject?: string
  /** The CA certificate that signs this one, created with `isCa`. Default: self-signed. */
  readonly issuer?: Certificate
  readonly isCa?: boolean
}

export interface Certificate {
  /** PEM. */
  readonly key: string
  /** PEM. */
  readonly cert: string
}

/** A new self-signed certificate and its key, both PEM, so that the repository has no private key. */
export function selfSigned(options: CertificateOptions = {}): Certificate {
  const { address = [127, 0, 0, 1], isCa = false, issuer, lastYear = 2119, names = [], subject = 'simulator' } = options
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const ecdsaWithSha256 = der(0x30, oid('2a8648ce3d040302'))
  const alternativeNames = der(
    0x30,
    der(0x87, Buffer.from(address)),
    ...names.map((name) => der(0x82, Buffer.from(name))),
  )
  const extensions = der(
    0x30,
    der(0x30, oid('551d11'), der(0x04, alternativeNames)),
    ...(isCa ? [der(0x30, oid('551d13'), der(0x04, der(0x30, der(0x01, Buffer.from([0xff])))))] : []),
  )
  const issuerName = issuer === undefined ? subject : commonNameOf(issuer.cert)
  const content = der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1])),
    ecdsaWithSha256,
    nameOf(issuerName),
    der(0x30, der(0x18, Buffer.from('20200101000000Z')), der(0x18, Buffer.from(`${lastYear + 1}0101000000Z`))),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  )
  const signature = der(0x03, Buffer.from([0]), sign('sha256', content, issuer?.key ?? privateKey))
  const base64 = der(0x30, content, ecdsaWithSha256, signature).toString('base64')
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    cert: `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`,
  }
}

function nameOf(commonName: string): Buffer {
  return der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, Buffer.from(commonName)))))
}

function commonNameOf(certificate: string): string {
  return new X509Certificate(certificate).subject.replace(/^CN=/, '')
}

/** One DER element: tag, length, content. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const header =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(header), content])
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}
