import type { ObjectKey } from '../kubernetes/types.ts'
import type { Caches } from './caches.ts'

/**
 * Credentials whose renewal was due before that moment (wall clock), and which no queue holds: a timer was lost. A
 * renewal that fails, or waits for its gateway, is queued and so not among them.
 *
 * @param isQueued whether a reconcile of the credential and an attempt of its application are queued
 */
export function* overdueCredentials(
  { credentials }: Caches,
  isQueued: (key: ObjectKey) => boolean,
  dueBefore: number,
): Generator<ObjectKey> {
  for (const { isDeleting, key, spec, status } of credentials.values()) {
    if (spec === undefined || spec.suspend || isDeleting) continue
    if (Date.parse(status.nextRenewalAt ?? '') < dueBefore && !isQueued(key)) yield key
  }
}
