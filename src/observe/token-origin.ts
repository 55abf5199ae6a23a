import { fingerprintOf } from '../enos/signature.ts'
import { Sensitive } from '../lib/sensitive.ts'
import { type Credential, type Observed, type TargetToken } from './observed.ts'

/**
 * Tells one appKey from another after a restart, when only the status knows which application the token belongs to.
 * The uid in it keeps the fingerprints of two resources apart; a reader who knows an appKey can recognise it.
 */
export function appKeyFingerprintOf({ uid }: Pick<Credential, 'uid'>, appKey: Sensitive): string {
  return fingerprintOf(new Sensitive(`${uid} ${appKey.reveal()}`))
}

/** Whether the targets hold a token of another application than the spec and its sources name now. */
export function holdsForeignToken(observed: Observed): boolean {
  const { credential, record } = observed
  return credential.spec.targets.some(({ name }) => {
    const token = record.get(name)?.token
    return token !== undefined && isForeign(observed, token)
  })
}

function isForeign({ credential, gatewayUrl, sources }: Observed, token: TargetToken): boolean {
  if (token.gatewayUrl !== gatewayUrl) return true
  if (token.appKeyFingerprint === undefined || sources?.values === undefined) return false
  return token.appKeyFingerprint !== appKeyFingerprintOf(credential, sources.values.appKey)
}
