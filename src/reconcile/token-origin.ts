import { isProblem, type Observed, type PublishedToken } from './observed.ts'

/** The targets hold a token, but of another application than the spec and the source Secret name now. */
export function holdsForeignToken(observed: Observed): boolean {
  const { credential, record } = observed
  return credential.spec.targets.some(({ name }) => {
    const token = record.get(name)?.token
    return token !== undefined && isForeign(observed, token)
  })
}

function isForeign(observed: Observed, token: PublishedToken): boolean {
  const { gatewayUrl, sources } = observed
  if (token.gatewayUrl !== gatewayUrl) return true
  if (sources === undefined || isProblem(sources.values)) return false
  if (token.appKey !== undefined) return !token.appKey.equals(sources.values.appKey)
  return hasOtherAppKeySource(observed) && isUnconfirmed(observed, token)
}

/** The Secret with the appKey is not the version that the token was proven with, as far as that was recorded. */
function hasOtherAppKeySource({ credential, sources }: Observed): boolean {
  const { spec, status } = credential
  const named = ({ name }: { readonly name: string }): boolean => name === spec.appKeyRef.name
  const [then, now] = [status.sources.find(named), sources?.versions.find(named)]
  return status.sources.length > 0 && (then?.uid !== now?.uid || then?.resourceVersion !== now?.resourceVersion)
}

/**
 * After a restart nobody knows the appKey of a token that an earlier process wrote, for no trace of one is ever kept. A
 * get with the present appKey tells: it answers that very token, or the application is another one. Until it was tried,
 * and while the gateway knows the appKey but refuses the appSecret, which is what the rotation of one looks like, the
 * token counts as the application's.
 */
function isUnconfirmed({ application }: Observed, { fingerprint }: PublishedToken): boolean {
  if (application?.token !== undefined) return application.token.fingerprint !== fingerprint
  const failure = application?.failure
  return failure !== undefined && failure.reason !== 'InvalidAppSecret'
}
