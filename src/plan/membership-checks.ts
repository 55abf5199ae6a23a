import { fingerprintOf } from '../enos/signature.ts'
import { parseDuration } from '../lib/duration.ts'
import { monotonicNextRenewalAt, type Observed, type TargetSpec, tokenOnTargets } from '../observe/observed.ts'
import { isStillTarget } from '../observe/ownership.ts'
import { decodeKey } from '../targets/secret.ts'
import { isSameCaller } from '../tokens/caller.ts'
import type { FoundToken, Membership } from '../tokens/membership.ts'
import { isSameSources } from './source-checks.ts'
import { act, type Verdict } from './verdict.ts'

/**
 * After a restart the token is on the targets and not in memory. A target that holds a token with the recorded
 * fingerprint saves a call to the gateway.
 */
export function readTokenBack(observed: Observed, now: number): Verdict | undefined {
  const { membership, targetContents } = observed
  if (membership !== undefined || !mayReadBack(observed, now) || foundToken(observed) !== undefined) return undefined
  const candidate = readableTargets(observed).find((target) => !targetContents.has(target.name))
  return candidate === undefined
    ? undefined
    : act({ do: 'fetchTarget', reason: 'TokenNotInMemory', name: candidate.name })
}

export function joinApplication(observed: Observed, now: number): Verdict | undefined {
  const wanted = wantedMembership(observed)
  if (wanted === undefined) return undefined
  const { membership } = observed
  if (membership !== undefined && isSameMembership(membership, wanted)) return undefined
  const found = membership === undefined && mayReadBack(observed, now) ? foundToken(observed) : undefined
  return act({ do: 'join', reason: 'MembershipChanged', membership: wanted, found })
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
    tlsServerName: gateway.tlsServerName,
    headers: sources.values.headers,
    verifyEveryMs: verifyEvery === undefined ? undefined : parseDuration(verifyEvery),
    recorded: tokenOnTargets(observed),
    hasHadToken: credential.status.lastRenewalAt !== undefined,
    renewRequest: isNewRequest ? credential.renewRequest : undefined,
  }
}

/** Equal except for `recorded`, which our own writes change. */
function isSameMembership(a: Membership, b: Membership): boolean {
  return (
    a.gatewayUrl === b.gatewayUrl &&
    a.appKey.equals(b.appKey) &&
    isSameCaller(a, b) &&
    a.renewBeforeMs === b.renewBeforeMs &&
    a.renewalMethod === b.renewalMethod &&
    a.timeoutMs === b.timeoutMs &&
    a.verifyEveryMs === b.verifyEveryMs &&
    (b.renewRequest === undefined || a.renewRequest === b.renewRequest)
  )
}

/** Not after the sources changed (the token may be another application's), nor when a get is due anyway. */
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
  const onTargets = tokenOnTargets(observed)
  if (onTargets === undefined) return undefined
  for (const [name, secret] of targetContents) {
    const key = templates.get(name)?.tokenKey
    const token = key === undefined ? undefined : decodeKey(secret, key)
    if (token !== undefined && fingerprintOf(token) === onTargets.fingerprint) return { ...onTargets, token }
  }
  return undefined
}
