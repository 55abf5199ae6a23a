import { X509Certificate } from 'node:crypto'

const begin = '-----BEGIN '
const certificateLabels = ['CERTIFICATE', 'TRUSTED CERTIFICATE', 'X509 CERTIFICATE']
/** What users take for a certificate. */
const otherLabel =
  /^(?:(?:RSA |EC |ENCRYPTED )?PRIVATE KEY|(?:RSA )?PUBLIC KEY|(?:NEW )?CERTIFICATE REQUEST|PKCS7|X509 CRL)$/

/**
 * Why a bundle of certificates in PEM cannot be used: Node reads it up to the first invalid certificate, and says nothing.
 * Text between the certificates, and other kinds of PEM beside them, are welcome.
 *
 * @returns the problem, without any of the text; undefined: there is none
 */
export function certificatesProblem(text: string): string | undefined {
  const blocks = text.split(begin).slice(1).map(parseBlock)
  const certificates = blocks.filter(({ label }) => certificateLabels.includes(label))
  if (certificates.length === 0) {
    const other = blocks.map(({ label }) => label).find((label) => otherLabel.test(label))
    return `holds no certificates in PEM${other === undefined ? '' : `, but a ${other}`}`
  }
  const bad = certificates.findIndex(({ pem }) => pem === undefined || !isCertificate(pem))
  if (bad < 0) return undefined
  const reason = certificates[bad]?.pem === undefined ? 'its END line is missing' : 'it cannot be parsed'
  return `holds an invalid certificate (number ${bad + 1} of ${certificates.length}): ${reason}`
}

interface Block {
  readonly label: string
  /** Undefined: the END line is missing. */
  readonly pem: string | undefined
}

/** @param text after `-----BEGIN ` */
function parseBlock(text: string): Block {
  const label = /^([A-Z0-9 ]{1,40})-----/.exec(text)?.[1] ?? ''
  const end = `-----END ${label}-----`
  const endAt = text.indexOf(end)
  return { label, pem: endAt < 0 ? undefined : begin + text.slice(0, endAt) + end }
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem)
    return true
  } catch {
    // OpenSSL's reason is of no use to users.
    return false
  }
}
