import { createHash } from 'node:crypto'
import type { Sensitive } from '../src/lib/sensitive.ts'

// Written anew, not imported from the client in src/enos: a mistake there must not be repeated here.

/**
 * The `encryption` of a token request: lower-case hex of sha256(appKey + timestamp + appSecret), as UTF-8.
 * @param timestamp the characters of the request's timestamp
 */
export function encryptionOf(appKey: string, timestamp: string, appSecret: string): string {
  return sha256(`${appKey}${timestamp}${appSecret}`)
}

export interface SignedApiCall {
  readonly token: string
  /** Path and query as in the request line. */
  readonly target: string
  /** The exact bytes. */
  readonly body: Buffer
  /** The characters of `apim-timestamp`. */
  readonly timestamp: string
  readonly appSecret: Sensitive
}

/**
 * The `apim-signature` of an API call: lower-case hex of sha256(accessToken + query parameters + body + timestamp +
 * appSecret), with the parameters sorted by name, and names and decoded values joined without separators.
 * @see https://support.enos-iot.com/docs/apim/en/2.4.4/token/invoke_api_with_access_token
 */
export function apiSignatureOf({ appSecret, body, target, timestamp, token }: SignedApiCall): string {
  const query = target.includes('?') ? target.slice(target.indexOf('?') + 1) : ''
  const parameters = new URLSearchParams(query)
  parameters.sort()
  const hash = createHash('sha256').update(token + [...parameters].flat().join(''))
  return hash
    .update(body)
    .update(timestamp + appSecret.reveal())
    .digest('hex')
}

/** The first 12 hex digits of sha256(token), to name a token in logs and answers. */
export function fingerprintOf(token: string): string {
  return sha256(token).slice(0, 12)
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex')
}
