import { annotations, mergeFieldManager } from '../api/v1alpha1/names.ts'
import { fingerprintOf } from '../enos/signature.ts'
import { holdersOf } from '../targets/managed-fields.ts'
import { decodeKey, type Secret } from '../targets/secret.ts'
import type { Observed } from './observed.ts'

/** `expire` is in whole seconds, so that two operators may take the same token to expire this far apart, in ms. */
export const agreementMs = 2000

/** Two operators renew a token at the same moment, but for their clocks and the whole seconds of `expire`; in ms. */
const ownRenewalMs = 5000
/** A renewal that takes longer than this is awaited no more, ms. */
const maxRenewalMs = 60_000

/**
 * Whether another operator has renewed the token on a target while our own renewal is due: that one begins with get,
 * which tells the present token. Writing our token meanwhile would replace a newer one.
 */
export function isRenewedElsewhere(observed: Observed, name: string, now: number): boolean {
  const { credential, fieldManager, targetContents, templates } = observed
  const content = targetContents.get(name)
  const key = templates.get(name)?.tokenKey
  if (content === undefined || key === undefined || !isRenewing(observed, now)) return false
  const own = [fieldManager, mergeFieldManager(credential.uid)]
  return isOther(observed, content, key) && holdersOf(content, key).some((manager) => own.includes(manager))
}

/** Whether our own renewal is due or asked for, and has not failed. */
function isRenewing({ application, credential, wallOffset }: Observed, now: number): boolean {
  if (application?.token === undefined || application.failure !== undefined) return false
  const { renewRequest, status } = credential
  // A request may also be gone, or be an older one: the annotation was removed, or etcd was restored.
  const handled = [application.handledRequest, status.lastHandledRenewRequest]
  if (renewRequest !== undefined && !handled.includes(renewRequest)) return true
  const renewalAt = (application.renewalAtWall ?? Number.POSITIVE_INFINITY) - wallOffset
  return now >= renewalAt - ownRenewalMs && now < renewalAt + maxRenewalMs
}

/**
 * Whether a target holds a newer token than ours, or the same one with a later expiry, and no longer what was recorded.
 * What is recorded is our own of before: an older token, written once more for a change of the spec while the new one was
 * on its way, or one of another application, which the spec or its sources named then. Where no token is recorded, or no
 * version of the Secret that holds it, nothing shows a renewal: an adopted Secret may hold a token of any application.
 */
function isOther({ application, record }: Observed, content: Secret, key: string): boolean {
  const { annotations: written = {}, name = '', resourceVersion } = content.metadata
  const held = decodeKey(content, key)
  const ours = application?.token
  const recorded = record.get(name)
  if (held === undefined || ours === undefined || recorded?.token === undefined) return false
  if (recorded.resourceVersion === '') return false
  const fingerprint = fingerprintOf(held)
  const isRecorded = fingerprint === recorded.token.fingerprint
  const expiresAtWall = Date.parse(written[annotations.expiresAt] ?? '')
  if (!Number.isNaN(expiresAtWall)) {
    const known = isRecorded ? [ours, recorded.token] : [ours]
    return known.every((token) => expiresAtWall > token.expiresAtWall + agreementMs)
  }
  // A Secret of another owner does not tell the expiry.
  if (fingerprint !== ours.fingerprint) return !isRecorded
  // It was changed, and by an operator.
  return recorded.creationPolicy === 'Merge' && recorded.resourceVersion !== resourceVersion
}
