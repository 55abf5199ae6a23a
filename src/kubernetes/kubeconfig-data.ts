import { certificatesProblem } from '../lib/pem.ts'

/** Why a value in base64 cannot be used; undefined: it can. */
type Check = (text: string) => string | undefined

const checks = {
  'certificate-authority-data': certificatesProblem,
  'client-certificate-data': certificatesProblem,
  'client-key-data': (text) =>
    /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text) ? undefined : 'holds no private key in PEM',
} as const satisfies Record<string, Check>

/**
 * Node takes some of what is no PEM for no certificate, and the call then fails with a certificate that is not trusted.
 *
 * @param value undefined or empty: not set
 * @throws Error that names the field, without its value
 */
export function assertData(field: keyof typeof checks, of: 'cluster' | 'user', value: unknown): void {
  if (value === undefined || value === null || value === '') return
  const problem =
    typeof value === 'string' ? checks[field](Buffer.from(value, 'base64').toString('latin1')) : 'is not a string'
  if (problem === undefined) return
  throw new Error(`has a ${field} in the current ${of} that ${problem}; expected base64 of PEM`)
}
