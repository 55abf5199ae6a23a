import { createHash } from 'node:crypto'
import type { Sensitive } from '../lib/sensitive.ts'

/**
 * The `encryption` field of a token request: lower-case hex of sha256(appKey + timestamp + appSecret), as UTF-8.
 *
 * @param timestampMs UNIX time in milliseconds; the same one goes into the request's `timestamp`
 * @see https://support.enos-iot.com/docs/apim/en/2.4.4/token/get_access_token
 */
export function signRequest(appKey: Sensitive, timestampMs: number, appSecret: Sensitive): string {
  return createHash('sha256').update(`${appKey.reveal()}${timestampMs}${appSecret.reveal()}`).digest('hex')
}

/** The first 12 hex digits of sha256(token), which stand for a token where it must not be shown. */
export function fingerprintOf(token: Sensitive): string {
  return createHash('sha256').update(token.reveal()).digest('hex').slice(0, 12)
}
