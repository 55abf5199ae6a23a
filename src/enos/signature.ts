import { hash } from 'node:crypto'
import type { Sensitive } from '../lib/sensitive.ts'

/**
 * The `encryption` field of a token request: lower-case hex of sha256(appKey + timestamp + appSecret), as UTF-8.
 *
 * @param timestampMs UNIX time in milliseconds; the same one goes into the request's `timestamp`
 * @see https://support.enos-iot.com/docs/apim/en/2.4.4/token/get_access_token
 */
export function signRequest(appKey: Sensitive, timestampMs: number, appSecret: Sensitive): string {
  return hash('sha256', `${appKey.reveal()}${timestampMs}${appSecret.reveal()}`)
}

/** The first 12 hex digits of sha256(token), which stand for a token where it must not be shown. */
export function fingerprintOf(token: Sensitive): string {
  return hash('sha256', token.reveal()).slice(0, 12)
}
