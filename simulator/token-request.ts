/** The status codes that the simulated token service answers without a fault. */
export const statusMessages = {
  0: 'SUCCESS',
  1001: 'Repeated request',
  1002: 'appKey does not exist',
  1003: 'encryption is not valid',
  1004: 'Invalid parameter',
  1005: 'Internal service exception',
  1202: 'Parameter is empty',
  1203: 'The access token has expired',
  1204: 'Failed to refresh the access token',
} as const

export type Refusal = Exclude<keyof typeof statusMessages, 0>

/** A request with all its parameters, each of the right type; its signature is not verified yet. */
export interface TokenRequest {
  readonly appKey: string
  /** UNIX time in milliseconds. */
  readonly timestampMs: number
  /** The characters of the timestamp, which `encryption` covers. */
  readonly timestampText: string
  readonly encryption: string
  /** The token to refresh; empty for get. */
  readonly accessToken: string
}

/**
 * Parses the body of a get or refresh.
 *
 * @param names the parameters that this operation requires beside appKey, timestamp and encryption
 * @returns the request, or the status code that refuses it: 1202 for an empty or missing parameter, 1004 for a wrong
 *   type
 */
export function parseTokenRequest(body: unknown, names: readonly 'accessToken'[]): TokenRequest | Refusal {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return 1004
  const fields = body as Record<string, unknown>
  const required = ['appKey', 'timestamp', 'encryption', ...names]
  if (required.some((name) => isEmpty(fields[name]))) return 1202
  const { appKey, timestamp, encryption } = fields
  const accessToken = names.length === 0 ? '' : fields.accessToken
  if (typeof appKey !== 'string' || typeof encryption !== 'string' || typeof accessToken !== 'string') return 1004
  // The documentation specifies a number; the vendor's own clients send a string.
  const timestampText = typeof timestamp === 'number' ? String(timestamp) : timestamp
  if (typeof timestampText !== 'string') return 1004
  const timestampMs = parseTimestamp(timestampText)
  if (timestampMs === undefined) return 1004
  return { appKey, timestampMs, timestampText, encryption, accessToken }
}

/** @returns ms since the UNIX epoch; undefined for anything but digits, and beyond safe integers */
export function parseTimestamp(text: string): number | undefined {
  const ms = /^\d{1,20}$/.test(text) ? Number(text) : undefined
  return Number.isSafeInteger(ms) ? ms : undefined
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === ''
}
