import { normaliseGatewayUrl } from '../api/v1alpha1/credential.ts'
import type { Problem } from '../api/v1alpha1/problem.ts'
import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import { joinNames } from '../lib/join-names.ts'
import { SmallMap } from '../lib/small-map.ts'
import type { Alteration } from '../targets/alteration.ts'
import { type CompiledTemplates, compileTemplates, knownFilters, knownVariables } from '../targets/template.ts'
import type { Membership } from '../tokens/membership.ts'
import type { Contest } from './contest.ts'
import { ExpiredTime } from './expired-time.ts'
import { contentSources, inputsKey } from './inputs.ts'
import { type Credential, type LastWrite, type Sources, type TargetRecord, type TargetToken } from './observed.ts'
import type { OwnWrites } from './own-writes.ts'
import { sharedStrings } from './parse-object.ts'

/** What this process knows of one credential besides its resource. */
export interface CredentialState extends OwnWrites {
  readonly uid: string
  readonly firstSeenAt: number
  /** Generation that the next three are from. */
  generation: number
  /** Normalised spec.gateway.url. */
  gatewayUrl: string
  templates: ReadonlyMap<string, CompiledTemplates>
  /** Why a template cannot be used; then `templates` is empty. */
  templateProblem: Problem | undefined
  /** Bound: the targets of the spec, and removed ones up to `maxRecordedTargets` in all. */
  readonly record: SmallMap<string, TargetRecord>
  sources: Sources | undefined
  membership: Membership | undefined
  /** Note of the last event by reason, for events that no condition reports; bounded by the number of reasons. */
  readonly notes: SmallMap<string, string>
  /** Contested targets, by name. Bound: the targets of the spec. */
  readonly contests: SmallMap<string, Contest>
  /** How admission altered the last write of a target, by name. Bound: the targets of the spec. */
  readonly alterations: SmallMap<string, Alteration>
  readonly expiredTime: ExpiredTime
  /** Reasons of the problems that were logged and are not solved yet; bounded by the number of reasons. */
  loggedProblems: readonly string[]
}

/** The same list for all: most have no problem. */
const noReasons: readonly string[] = []

export function newState(credential: Credential, now: number, wallOffset: number): CredentialState {
  const { gatewayUrl, templateProblem, templates } = partsOfSpec(credential)
  return {
    uid: credential.uid,
    firstSeenAt: now,
    generation: credential.generation,
    gatewayUrl,
    templates,
    templateProblem,
    record: recordOf(credential, templates, wallOffset),
    sources: undefined,
    membership: undefined,
    statusWrittenAt: Number.NEGATIVE_INFINITY,
    prunedStatus: undefined,
    ownStatus: credential.status,
    statusContest: undefined,
    isStatusDue: false,
    finalizerWrite: undefined,
    notes: new SmallMap(),
    contests: new SmallMap(),
    alterations: new SmallMap(),
    expiredTime: new ExpiredTime(now),
    loggedProblems: noReasons,
  }
}

/** What each generation of a spec is made into once. */
export function partsOfSpec(
  credential: Pick<Credential, 'spec'>,
): Pick<CredentialState, 'gatewayUrl' | 'templates' | 'templateProblem'> {
  return {
    gatewayUrl: sharedStrings.share(normaliseGatewayUrl(credential.spec.gateway.url)),
    ...compileAll(credential),
  }
}

/** Compiles the templates of all targets. */
export function compileAll({ spec }: Pick<Credential, 'spec'>): Pick<CredentialState, 'templates' | 'templateProblem'> {
  const all = new SmallMap<string, CompiledTemplates>()
  const broken: string[] = []
  for (const { name, data } of spec.targets) {
    const compiled = compileTemplates(data)
    if ('problems' in compiled) {
      broken.push(...compiled.problems.map(({ detail, key }) => `Secret ${name}: template of key ${key}: ${detail}`))
    } else {
      all.set(name, compiled)
    }
  }
  if (broken.length === 0) return { templates: all, templateProblem: undefined }
  const has = (unknown: string): boolean => broken.some((one) => one.includes(`: unknown ${unknown}`))
  const hints = [has('variable') ? knownVariables : '', has('filter') ? knownFilters : '']
  const message = `spec.targets: ${joinNames(broken, '; ')}${hints.join('')}`
  return { templates: new SmallMap(), templateProblem: { class: 'userMustAct', reason: 'TemplateError', message } }
}

/** The records of an earlier process, from the status. */
function recordOf(
  { spec, status }: Credential,
  templates: CredentialState['templates'],
  wallOffset: number,
): SmallMap<string, TargetRecord> {
  const record = new SmallMap<string, TargetRecord>()
  const token = tokenOf(status, wallOffset)
  for (const target of status.targets) {
    const usesSources = templates.get(target.name)?.usesSources === true
    const inputs = inputsKey(status.observedGeneration, usesSources ? contentSources(spec, status.sources) : undefined)
    recordTarget(record, { ...target, token, inputs, lastWrite: lastWriteOf(target) })
  }
  return record
}

/** Records a target. Most credentials have one: it is of one shape, and has its strings in common with status and metadata. */
export function recordTarget(
  record: CredentialState['record'],
  { creationPolicy, deletionPolicy, inputs, keys, lastWrite, name, resourceVersion, token, uid }: TargetRecord,
): void {
  const target = { name, uid, resourceVersion, creationPolicy, deletionPolicy, keys, token, inputs, lastWrite }
  record.set(name, sharedStrings.shareAll(target))
}

function lastWriteOf({ lastWrite }: CredentialStatus['targets'][number]): LastWrite | undefined {
  return lastWrite === undefined ? undefined : { reason: lastWrite.reason, atWall: Date.parse(lastWrite.at) }
}

/** The token on the targets; undefined where the status does not record everything about it. */
function tokenOf(
  { appKeyFingerprint, expiresAt, gateway, issuedAt, lastRenewalAt, tokenFingerprint }: CredentialStatus,
  wallOffset: number,
): TargetToken | undefined {
  const [expiresAtWall, issuedAtWall] = [Date.parse(expiresAt ?? ''), Date.parse(issuedAt ?? '')]
  const prolongedAtWall = Date.parse(lastRenewalAt ?? '')
  if (tokenFingerprint === undefined || gateway === undefined) return undefined
  if (!Number.isFinite(expiresAtWall) || !Number.isFinite(issuedAtWall)) return undefined
  return {
    fingerprint: tokenFingerprint,
    expiresAtWall,
    issuedAtWall,
    ...(prolongedAtWall > issuedAtWall ? { prolongedAtWall } : {}),
    expiresAt: expiresAtWall - wallOffset,
    gatewayUrl: gateway,
    appKeyFingerprint,
  }
}
