import type { FoundToken, Membership } from '../tokens/membership.ts'
import { fingerprintOf } from '../enos/signature.ts'
import { parseDuration } from '../lib/duration.ts'
import { type Observed, tokenOnTargets, monotonicNextRenewalAt, type TargetSpec } from '../observe/observed.ts'
import { isStillTarget } from '../observe/ownership.ts'
import { decodeKey } from '../targets/secret.ts'
import { isSameSources } from './source-checks.ts'
import type { Verdict } from './verdict.ts'

/**
 * After a restart with something changed, the token is wanted but not in memory. It stands on our own targets: what is
 * read there, and has the fingerprint that was recorded, saves a call.
 */
export function readTokenBack(observed: Observed, now: number): Verdict | undefined {
  const { membership, targetContents } = observed
  if (membership !== undefined || !mayReadBack(observed, now) || foundToken(observed) !== undefined) return undefined
  const candidate = readableTargets(observed).find((target) => !targetContents.has(target.name))
  return candidate === undefined ? undefined : { kind: 'do', actions: [{ do: 'fetchTarget', name: candidate.name }] }
}

export function joinApplication(observed: Observed, now: number): Verdict | undefined {
  const wanted = wantedMembership(observed)
  if (wanted === undefined) return undefined
  const { membership } = observed
  if (membership !== undefined && isSameMembership(membership, wanted)) return undefined
  const found = membership === undefined && mayReadBack(observed, now) ? foundToken(observed) : undefined
  return { kind: 'do', actions: [{ do: 'join', membership: wanted, found }] }
}

function wantedMembership(observed: Observed): Membership | undefined {
  const { credential, gatewayUrl, sources } = observed
  if (sources?.values === undefined) return undefined
  const { gateway, renewBefore, renewalMethod, verifyEvery } = credential.spec
  const isNewRequest = credential.renewRequest !== credential.status.lastHandledRenewRequest
  return {
    gatewayUrl,
    appKey: sources.values.appKey,
    appSecret: sources.values.appSecret,
    renewBeforeMs: renewBefore === undefined ? undefined : parseDuration(renewBefore),
    renewalMethod,
    timeoutMs: parseDuration(gateway.timeout),
    ca: sources.values.ca,
    verifyEveryMs: verifyEvery === undefined ? undefined : parseDuration(verifyEvery),
    recorded: tokenOnTargets(observed),
    renewRequest: isNewRequest ? credential.renewRequest : undefined,
  }
}

/** Equal but for what is recorded, which changes by our own doing. */
function isSameMembership(a: Membership, b: Membership): boolean {
  return (
    a.gatewayUrl === b.gatewayUrl &&
    a.appKey.equals(b.appKey) &&
    a.appSecret.equals(b.appSecret) &&
    a.renewBeforeMs === b.renewBeforeMs &&
    a.renewalMethod === b.renewalMethod &&
    a.timeoutMs === b.timeoutMs &&
    a.ca === b.ca &&
    a.verifyEveryMs === b.verifyEveryMs &&
    (b.renewRequest === undefined || a.renewRequest === b.renewRequest)
  )
}

/** Not when the sources changed (the token may be another application's), nor when get will be asked anyway. */
function mayReadBack(observed: Observed, now: number): boolean {
  const { credential, gatewayUrl, isSummoned, sources } = observed
  const token = tokenOnTargets(observed)
  const nextRenewalAt = monotonicNextRenewalAt(observed)
  return (
    !isSummoned &&
    token?.gatewayUrl === gatewayUrl &&
    now < token.expiresAt &&
    nextRenewalAt !== undefined &&
    now < nextRenewalAt &&
    sources !== undefined &&
    isSameSources(credential.status.sources, sources.versions) &&
    (credential.status.consecutiveFailures ?? 0) === 0
  )
}

function readableTargets(observed: Observed): TargetSpec[] {
  const { credential, templates } = observed
  return credential.spec.targets.filter(
    (target) => templates.get(target.name)?.tokenKey !== undefined && isStillTarget(observed, target.name),
  )
}

function foundToken(observed: Observed): FoundToken | undefined {
  const { targetContents, templates } = observed
  const published = tokenOnTargets(observed)
  if (published === undefined) return undefined
  for (const [name, secret] of targetContents) {
    const key = templates.get(name)?.tokenKey
    const token = key === undefined ? undefined : decodeKey(secret, key)
    if (token !== undefined && fingerprintOf(token) === published.fingerprint) return { ...published, token }
  }
  return undefined
}
