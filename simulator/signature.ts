import { createHash } from 'node:crypto'

// Written anew, not imported from the client in src/enos: a mistake there must not be repeated here.

/**
 * The `encryption` of a token request: lower-case hex of sha256(appKey + timestamp + appSecret), as UTF-8.
 * @param timestamp the characters of the request's timestamp
 */
export function encryptionOf(appKey: string, timestamp: string, appSecret: string): string {
  return sha256(`${appKey}${timestamp}${appSecret}`)
}

/** The first 12 hex digits of sha256(token), to name a token in logs and answers. */
export function fingerprintOf(token: string): string {
  return sha256(token).slice(0, 12)
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex')
}
