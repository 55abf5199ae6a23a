/** The status codes of the token service that the simulator answers by itself. */
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

/** A request whose parameters are there and of the right type; nothing of it is verified yet. */
export interface TokenRequest {
  readonly appKey: string
  /** UNIX time in milliseconds. */
  readonly timestamp: number
  readonly encryption: string
  /** The token to refresh; empty for get. */
  readonly accessToken: string
}

/**
 * Reads the body of a get or refresh.
 *
 * @param names the parameters that this operation needs beside appKey, timestamp and encryption
 * @returns the request, or the status that refuses it: 1202 for what is empty or missing, 1004 for a wrong type
 */
export function readTokenRequest(body: unknown, names: readonly 'accessToken'[]): TokenRequest | Refusal {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return 1004
  const fields = body as Record<string, unknown>
  const needed = ['appKey', 'timestamp', 'encryption', ...names]
  if (needed.some((name) => isEmpty(fields[name]))) return 1202
  const { appKey, timestamp, encryption } = fields
  const accessToken = names.length === 0 ? '' : fields.accessToken
  if (typeof appKey !== 'string' || typeof encryption !== 'string' || typeof accessToken !== 'string') return 1004
  if (typeof timestamp !== 'number' || !Number.isSafeInteger(timestamp)) return 1004
  return { appKey, timestamp, encryption, accessToken }
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === ''
}
