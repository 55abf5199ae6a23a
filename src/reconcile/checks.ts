import type { FoundToken, Membership } from '../enos/application.ts'
import { parseDuration } from '../lib/duration.ts'
import { fingerprintOf } from '../enos/signature.ts'
import { readData } from '../targets/desired-secret.ts'
import type { Action } from './actions.ts'
import {
  inputsOf,
  isProblem,
  type Observed,
  type ObjectVersion,
  type Problem,
  publishedToken,
  steadyNextRenewalAt,
  type TargetSpec,
} from './observed.ts'
import { isOurs, targetActions } from './target-checks.ts'
import { unsupported } from './unsupported.ts'

export type Verdict =
  /** Do this, then look again. */
  | { readonly kind: 'do'; readonly actions: readonly Action[] }
  /** Nothing more can be done now: say so. */
  | { readonly kind: 'stop'; readonly problem: Problem | undefined }
  /** All is as the status says. */
  | { readonly kind: 'settled' }
  /** The resource is on its way out; nothing is to be said of it. */
  | { readonly kind: 'gone' }

export type Check = (observed: Observed, now: number) => Verdict | undefined

/** In their order; the first that speaks wins. */
export const checks: readonly Check[] = [
  isBeingDeleted,
  isNotSupported,
  hasBrokenTemplate,
  isSuspended,
  hasFormerTargets,
  isGatewayRefused,
  isSettled,
  hasUnreadSources,
  hasBrokenSources,
  hasTokenToReadBack,
  isNotJoined,
  hasTargetsToWrite,
]

/** Owned Secrets are removed by the garbage collector; a finalizer would only be in its way. */
function isBeingDeleted({ credential, membership }: Observed): Verdict | undefined {
  if (!credential.isDeleting) return undefined
  return membership === undefined ? { kind: 'gone' } : { kind: 'do', actions: [{ do: 'leave' }] }
}

function isNotSupported(observed: Observed): Verdict | undefined {
  const problem = unsupported(observed.credential.spec)
  return problem === undefined ? undefined : stopWith(observed, problem)
}

function hasBrokenTemplate(observed: Observed): Verdict | undefined {
  return isProblem(observed.templates) ? stopWith(observed, observed.templates) : undefined
}

function isSuspended(observed: Observed): Verdict | undefined {
  return observed.credential.spec.suspend ? stopWith(observed, undefined) : undefined
}

/** Targets that the user took out of the spec, by what was recorded of them and never by name or label alone. */
function hasFormerTargets({ credential, record, targetMetas }: Observed): Verdict | undefined {
  const wanted = new Set(credential.spec.targets.map((target) => target.name))
  const actions: Action[] = []
  for (const former of record.values()) {
    const meta = targetMetas.get(former.name)
    const isStillOurs = meta?.uid === former.uid && meta.controllerUid === credential.uid
    if (isStillOurs && !wanted.has(former.name)) actions.push({ do: 'deleteTarget', was: versionOf(meta) })
    else if (meta?.uid !== former.uid || !wanted.has(former.name))
      actions.push({ do: 'forgetTarget', name: former.name })
  }
  return actions.length === 0 ? undefined : { kind: 'do', actions }
}

function isGatewayRefused(observed: Observed): Verdict | undefined {
  if (observed.isGatewayAllowed) return undefined
  return stopWith(observed, {
    class: 'userMustAct',
    reason: 'GatewayNotAllowed',
    message: `spec.gateway.url: ${new URL(observed.gatewayUrl).host} is not among the gateways that this operator may call (--allowed-gateways)`,
  })
}

/**
 * Nothing changed since the status was written: not the spec, the sources, the targets, and the token is not due. This
 * is how a restart takes over without a call, a read or a write; a resource that joined its application in this process
 * goes through the rest of the checks.
 */
function isSettled(observed: Observed, now: number): Verdict | undefined {
  const { credential, gatewayUrl, isAwakened, membership, sourceMetas } = observed
  const { conditions, lastHandledRenewRequest, observedGeneration } = credential.status
  const isTrue = (type: string): boolean => conditions.find((condition) => condition.type === type)?.status === 'True'
  const nextRenewalAt = steadyNextRenewalAt(observed)
  const token = publishedToken(observed)
  const isAsRecorded =
    membership === undefined &&
    !isAwakened &&
    observedGeneration === credential.generation &&
    (credential.renewRequest === undefined || credential.renewRequest === lastHandledRenewRequest) &&
    isTrue('Ready') &&
    isTrue('RenewalHealthy') &&
    token?.gatewayUrl === gatewayUrl &&
    isSameVersions(credential.status.sources, [...sourceMetas.values()]) &&
    now < token.expiresAt &&
    nextRenewalAt !== undefined &&
    now < nextRenewalAt &&
    credential.spec.targets.every((target) => isTargetAsRecorded(observed, target))
  return isAsRecorded ? { kind: 'settled' } : undefined
}

function hasUnreadSources(observed: Observed): Verdict | undefined {
  const { sourceMetas, sources } = observed
  for (const [name, meta] of sourceMetas) {
    if (meta === undefined) {
      return stopWith(observed, {
        class: 'userMustAct',
        reason: 'SourceSecretNotFound',
        message: `${sourceFields(observed, name)}: there is no Secret ${name} in namespace ${observed.credential.namespace}`,
      })
    }
  }
  if (sources !== undefined && isSameVersions(sources.versions, [...sourceMetas.values()])) return undefined
  return { kind: 'do', actions: [{ do: 'readSources' }] }
}

function hasBrokenSources(observed: Observed): Verdict | undefined {
  const values = observed.sources?.values
  return values !== undefined && isProblem(values) ? stopWith(observed, values) : undefined
}

/**
 * After a restart with something changed, the token is wanted but not in memory. It stands on our own targets: what is
 * read there, and has the fingerprint that was recorded, saves a call.
 */
function hasTokenToReadBack(observed: Observed, now: number): Verdict | undefined {
  const { membership, targetContents } = observed
  if (membership !== undefined || !mayReadBack(observed, now) || foundToken(observed) !== undefined) return undefined
  const candidate = readableTargets(observed).find((target) => !targetContents.has(target.name))
  return candidate === undefined ? undefined : { kind: 'do', actions: [{ do: 'readTarget', name: candidate.name }] }
}

function isNotJoined(observed: Observed, now: number): Verdict | undefined {
  const wanted = wantedMembership(observed)
  if (wanted === undefined) return undefined
  const { membership } = observed
  if (membership !== undefined && isSameMembership(membership, wanted)) return undefined
  const found = membership === undefined && mayReadBack(observed, now) ? foundToken(observed) : undefined
  return { kind: 'do', actions: [{ do: 'join', membership: wanted, found }] }
}

function hasTargetsToWrite(observed: Observed, now: number): Verdict | undefined {
  const actions = targetActions(observed, now)
  return actions.length === 0 ? undefined : { kind: 'do', actions }
}

/** A resource that cannot go on is no member: its application is not renewed for its sake. */
function stopWith({ membership }: Observed, problem: Problem | undefined): Verdict {
  return membership === undefined ? { kind: 'stop', problem } : { kind: 'do', actions: [{ do: 'leave' }] }
}

function wantedMembership(observed: Observed): Membership | undefined {
  const { credential, gatewayUrl, sources } = observed
  if (sources === undefined || isProblem(sources.values)) return undefined
  const { gateway, renewBefore, renewalMethod } = credential.spec
  const isNewRequest = credential.renewRequest !== credential.status.lastHandledRenewRequest
  return {
    gatewayUrl,
    appKey: sources.values.appKey,
    appSecret: sources.values.appSecret,
    renewBeforeMs: renewBefore === undefined ? undefined : parseDuration(renewBefore),
    renewalMethod,
    timeoutMs: parseDuration(gateway.timeout),
    recorded: publishedToken(observed),
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
    (b.renewRequest === undefined || a.renewRequest === b.renewRequest)
  )
}

/** Not when the sources changed (the token may be another application's), nor when get will be asked anyway. */
function mayReadBack(observed: Observed, now: number): boolean {
  const { credential, gatewayUrl, isAwakened, sources } = observed
  const token = publishedToken(observed)
  const nextRenewalAt = steadyNextRenewalAt(observed)
  return (
    !isAwakened &&
    token?.gatewayUrl === gatewayUrl &&
    now < token.expiresAt &&
    nextRenewalAt !== undefined &&
    now < nextRenewalAt &&
    sources !== undefined &&
    isSameVersions(credential.status.sources, sources.versions) &&
    (credential.status.consecutiveFailures ?? 0) === 0
  )
}

function readableTargets(observed: Observed): TargetSpec[] {
  const { credential, record, targetMetas, templates } = observed
  if (isProblem(templates)) return []
  return credential.spec.targets.filter(
    (target) =>
      templates.get(target.name)?.tokenKey !== undefined &&
      record.has(target.name) &&
      isOurs(observed, targetMetas.get(target.name)),
  )
}

function foundToken(observed: Observed): FoundToken | undefined {
  const { targetContents, templates } = observed
  const published = publishedToken(observed)
  if (published === undefined || isProblem(templates)) return undefined
  for (const [name, secret] of targetContents) {
    const key = templates.get(name)?.tokenKey
    const token = key === undefined ? undefined : readData(secret, key)
    if (token !== undefined && fingerprintOf(token) === published.fingerprint) return { ...published, token }
  }
  return undefined
}

function isTargetAsRecorded(observed: Observed, target: TargetSpec): boolean {
  const recorded = observed.record.get(target.name)
  const meta = observed.targetMetas.get(target.name)
  return (
    recorded !== undefined &&
    isOurs(observed, meta) &&
    meta?.uid === recorded.uid &&
    meta.resourceVersion === recorded.resourceVersion &&
    recorded.inputs === inputsOf(observed, target.name)
  )
}

function isSameVersions(recorded: readonly ObjectVersion[], present: readonly (ObjectVersion | undefined)[]): boolean {
  return (
    recorded.length === present.length &&
    present.every((now) =>
      recorded.some(
        (then) => then.name === now?.name && then.uid === now.uid && then.resourceVersion === now.resourceVersion,
      ),
    )
  )
}

function versionOf({ name, uid, resourceVersion }: ObjectVersion): ObjectVersion {
  return { name, uid, resourceVersion }
}

/** The fields of the spec that name this Secret. */
function sourceFields({ credential }: Observed, name: string): string {
  const { appKeyRef, appSecretRef } = credential.spec
  return [
    ...(appKeyRef.name === name ? ['spec.appKeyRef'] : []),
    ...(appSecretRef.name === name ? ['spec.appSecretRef'] : []),
  ].join(' and ')
}
