import type { ObjectKey } from '../kubernetes/types.ts'
import type { Caches } from './caches.ts'

/**
 * Credentials whose renewal was due before that moment (wall clock), and which nobody will see to: a wake-up was lost.
 * One that fails, or whose gateway is down, is tried again and so not among them.
 *
 * @param isQueued whether the next look at a credential is queued, and the next attempt for its application
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
