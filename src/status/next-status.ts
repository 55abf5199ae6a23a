import { isDeepStrictEqual } from 'node:util'
import { type Condition, setCondition } from '../api/v1alpha1/conditions.ts'
import type { Problem } from '../api/v1alpha1/problem.ts'
import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import { formatTime } from '../lib/time.ts'
import { contestedTargets } from '../observe/disputed-targets.ts'
import { inputsOf } from '../observe/inputs.ts'
import { type Observed, type TargetRecord, tokenOnTargets } from '../observe/observed.ts'
import { propagatedFingerprint, wantsPropagation } from '../observe/propagation.ts'
import { assess } from './assess.ts'

/** The status for what is observed. Pure; equal to the present one when nothing has changed. */
export function nextStatus(observed: Observed, problem: Problem | undefined, now: number): CredentialStatus {
  const { application, credential, record } = observed
  const { status: present } = credential
  const token = tokenOnTargets(observed)
  // Its version changes with each correction, which would write the status as often.
  const contested = new Set(contestedTargets(observed, now).map(({ name }) => name))
  const renewal = application?.lastRenewal
  const handled = application?.handledRequest ?? present.lastHandledRenewRequest
  return defined({
    observedGeneration: credential.generation,
    conditions: [...nextConditions(observed, problem, now)],
    expiresAt: token === undefined ? undefined : formatTime(token.expiresAtWall),
    issuedAt: token === undefined ? undefined : formatTime(token.issuedAtWall),
    nextRenewalAt: credential.spec.suspend ? undefined : nextRenewal(observed),
    lastRenewalAt: renewal === undefined ? present.lastRenewalAt : formatTime(renewal.atWall),
    lastRenewalMethod: renewal === undefined ? present.lastRenewalMethod : renewal.operation,
    consecutiveFailures: application === undefined ? present.consecutiveFailures : application.failures,
    tokenFingerprint: token?.fingerprint,
    gateway: token?.gatewayUrl,
    appKeyFingerprint: token?.appKeyFingerprint,
    sources: nextSources(observed),
    targets: [...record.values()].map((target) => targetStatus(observed, target, contested.has(target.name))),
    targetNames: credential.spec.targets.map(({ name }) => name).join(', '),
    lastHandledRenewRequest: handled,
    propagatedFingerprint: propagatedFingerprint(observed),
  })
}

/** The versions that the token on the targets was received with. */
function nextSources(observed: Observed): CredentialStatus['sources'] {
  const { application, credential, sources } = observed
  const token = tokenOnTargets(observed)
  return sources !== undefined && token !== undefined && application?.token?.fingerprint === token.fingerprint
    ? sources.versions.map(({ keys, ...version }) => ({ ...version, keys: [...keys] }))
    : credential.status.sources
}

function nextConditions(observed: Observed, problem: Problem | undefined, now: number): readonly Condition[] {
  const { credential, propagation } = observed
  const { ready, renewalHealthy, reconciling, stalled } = assess(observed, problem, now)
  const nowWall = now + observed.wallOffset
  let conditions: readonly Condition[] = credential.status.conditions
  for (const [type, value] of [
    ['Ready', ready],
    ['RenewalHealthy', renewalHealthy],
    ['Reconciling', reconciling],
    ['Stalled', stalled],
  ] as const) {
    conditions =
      value === undefined
        ? conditions.filter((condition) => condition.type !== type)
        : setCondition(conditions, { type, ...value, observedGeneration: credential.generation }, nowWall)
  }
  if (!wantsPropagation(observed)) return conditions.filter(({ type }) => type !== 'Propagated')
  const hasPropagated = conditions.some(({ type }) => type === 'Propagated')
  if (propagation?.outcome === undefined || (propagation.isSilent && !hasPropagated)) return conditions
  const condition = { type: 'Propagated', ...propagation.outcome, observedGeneration: propagation.generation }
  return setCondition(conditions, condition, nowWall)
}

function targetStatus(
  observed: Observed,
  target: TargetRecord,
  isContested: boolean,
): CredentialStatus['targets'][number] {
  const token = tokenOnTargets(observed)
  const isAsSpecified = observed.credential.spec.suspend || target.inputs === inputsOf(observed, target.name)
  // Of a target that another writer keeps deleting, the uid would change with each correction.
  const known = observed.credential.status.targets.find(({ name }) => name === target.name)
  return {
    name: target.name,
    uid: (isContested ? known?.uid : undefined) ?? target.uid,
    // Without a version the target is read after a restart: it holds another token than tokenFingerprint, or was not
    // written for the present spec yet. A suspended resource needs neither: resuming changes the spec again.
    resourceVersion:
      token !== undefined && !isContested && target.token?.fingerprint === token.fingerprint && isAsSpecified
        ? target.resourceVersion
        : '',
    creationPolicy: target.creationPolicy,
    deletionPolicy: target.deletionPolicy,
    keys: [...target.keys],
    ...(target.lastWrite === undefined
      ? {}
      : { lastWrite: { reason: target.lastWrite.reason, at: formatTime(target.lastWrite.atWall) } }),
  }
}

/** The status of a resource whose spec cannot be parsed: only the conditions change. */
export function invalidStatus(
  present: CredentialStatus,
  generation: number,
  problems: readonly string[],
  nowWallMs: number,
): CredentialStatus {
  const message = problems.join('; ')
  const conditions = [
    ['Ready', 'False'],
    ['RenewalHealthy', 'Unknown'],
    ['Stalled', 'True'],
  ] as const
  return {
    ...present,
    observedGeneration: generation,
    conditions: conditions.reduce<Condition[]>(
      (so, [type, status]) =>
        setCondition(so, { type, status, reason: 'InvalidSpec', message, observedGeneration: generation }, nowWallMs),
      present.conditions.filter(({ type }) => type !== 'Reconciling'),
    ),
  }
}

/**
 * Whether two statuses differ in nothing that is worth a write: the order of lists has no meaning, and `lastWrite` alone is
 * not worth one. A pass asks several times, so it is answered without copies.
 */
export function isSameStatus(a: CredentialStatus, b: CredentialStatus): boolean {
  return (
    isSameList(a.conditions, b.conditions, ({ type }) => type) &&
    isSameList(a.sources, b.sources, ({ name }) => name) &&
    isSameList(a.targets, b.targets, ({ name }) => name) &&
    hasSameFields(a, b) &&
    hasSameFields(b, a)
  )
}

/** The merge patch from one status to another: removed fields become null. */
export function statusPatch(present: CredentialStatus, next: CredentialStatus): Record<string, unknown> {
  const patch: Record<string, unknown> = {}
  for (const key of new Set([...Object.keys(present), ...Object.keys(next)]) as Set<keyof CredentialStatus>) {
    if (!isDeepStrictEqual(present[key], next[key])) patch[key] = next[key] ?? null
  }
  return patch
}

function nextRenewal({ application, credential }: Observed): string | undefined {
  if (application === undefined) return credential.status.nextRenewalAt
  return application.renewalAtWall === undefined
    ? credential.status.nextRenewalAt
    : formatTime(application.renewalAtWall)
}

/** Without the fields that are undefined, as the JSON that the status becomes. */
function defined(status: { [K in keyof CredentialStatus]: CredentialStatus[K] | undefined }): CredentialStatus {
  const all: Readonly<Record<string, unknown>> = status
  const present: Record<string, unknown> = {}
  for (const field in all) if (all[field] !== undefined) present[field] = all[field]
  return present as CredentialStatus
}

/** Of all but the lists. A field that is undefined counts as absent. */
function hasSameFields(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean {
  for (const field in a) if (!Array.isArray(a[field]) && !Object.is(a[field], b[field])) return false
  return true
}

function isSameList<E>(a: readonly E[], b: readonly E[], nameOf: (entry: E) => string): boolean {
  if (a.every((entry, at) => nameOf(entry) === nameOf(b[at] ?? entry))) return isSameSequence(a, b)
  const byName = (one: E, other: E): number => (nameOf(one) < nameOf(other) ? -1 : 1)
  return isSameSequence(a.toSorted(byName), b.toSorted(byName))
}

/** As isDeepStrictEqual, for lists and plain objects, without `lastWrite`. */
function isSameValue(a: unknown, b: unknown): boolean {
  if (!isRecord(a) || !isRecord(b)) return Object.is(a, b)
  if (Array.isArray(a) && Array.isArray(b)) return isSameSequence(a, b)
  for (const field in a) {
    if (field !== 'lastWrite' && !(Object.hasOwn(b, field) && isSameValue(a[field], b[field]))) return false
  }
  for (const field in b) if (field !== 'lastWrite' && !Object.hasOwn(a, field)) return false
  return true
}

function isSameSequence(a: readonly unknown[], b: readonly unknown[]): boolean {
  for (let at = 0; at < a.length; at++) if (!isSameValue(a[at], b[at])) return false
  return a.length === b.length
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
