/** The status codes that the simulated token service answers without a fault. */
export const statusMessages = {
  0: 'SUCCESS',
  1001: 'Repeated request',
  1002: 'appKey does not exist',
  1003: 'encryption is not valid',
  1004: 'Invalid parameter',
  1202: 'Parameter is empty',
  1203: 'The access token has expired',
  1204: 'Failed to refresh the access token',
} as const

export type Refusal = Exclude<keyof typeof statusMessages, 0>

/** A request with all its parameters, each of the right type; its signature is not verified yet. */
export interface TokenRequest {
  readonly appKey: string
  /** UNIX time in milliseconds. */
  readonly timestamp: number
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
  if (typeof timestamp !== 'number' || !Number.isSafeInteger(timestamp)) return 1004
  return { appKey, timestamp, encryption, accessToken }
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === ''
}
