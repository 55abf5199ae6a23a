import { fingerprintOf } from '../enos/signature.ts'
import { Sensitive } from '../lib/sensitive.ts'
import { type Credential, type Observed, type TargetToken } from './observed.ts'

/**
 * Tells one appKey from another after a restart, when only the status knows whose the token on the targets is. With the
 * uid in it, it leads from no resource to another; who knows an appKey can tell that it is the one.
 */
export function appKeyFingerprintOf({ uid }: Pick<Credential, 'uid'>, appKey: Sensitive): string {
  return fingerprintOf(new Sensitive(`${uid} ${appKey.reveal()}`))
}

/** The targets hold a token, but of another application than the spec and the source Secret name now. */
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
