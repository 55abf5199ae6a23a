import type { KubernetesObject } from '../kubernetes/types.ts'
import { Sensitive } from '../lib/sensitive.ts'

/** A Secret as the API server sends it. */
export interface Secret extends KubernetesObject {
  readonly type?: string
  readonly immutable?: boolean
  /** Base64. */
  readonly data?: Readonly<Record<string, string>>
}

/** The text of a key of a Secret's data; undefined when the key does not exist or is not UTF-8. */
export function decodeKey(secret: Secret, key: string): Sensitive | undefined {
  const encoded = secret.data?.[key]
  if (encoded === undefined) return undefined
  try {
    return new Sensitive(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(encoded, 'base64')))
  } catch {
    // Bytes that are not UTF-8 were not written by this operator, and an error would quote them.
    return undefined
  }
}

export function encodeData(data: Readonly<Record<string, Sensitive>>): Record<string, string> {
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, toBase64(value)]))
}

export function toBase64(value: Sensitive): string {
  return Buffer.from(value.reveal(), 'utf8').toString('base64')
}

export function nulls(keys: readonly string[]): Record<string, null> {
  return Object.fromEntries(keys.map((key) => [key, null]))
}
