import type { WriteReason } from '../api/v1alpha1/action-reasons.ts'
import { annotations, mergeFieldManager } from '../api/v1alpha1/names.ts'
import { isHandedByAnnotation } from '../observe/adoption.ts'
import { type ChangedFields, type Interference, nextCorrectionAt, otherWriterOf } from '../observe/contest.ts'
import { changedInput, inputsOf } from '../observe/inputs.ts'
import {
  type ObjectVersion,
  objectVersionOf,
  type Observed,
  type SourceValues,
  type TargetRecord,
  type TargetSpec,
} from '../observe/observed.ts'
import { agreementMs, isRenewedElsewhere } from '../observe/other-operator.ts'
import { isOurs, mergeIdentityOf } from '../observe/ownership.ts'
import { targetProblem } from '../observe/target-problems.ts'
import { appKeyFingerprintOf } from '../observe/token-origin.ts'
import { accepting } from '../targets/alteration.ts'
import { compareSecret, type Comparison, noCorrection } from '../targets/compare-secret.ts'
import { type DesiredSecret, desiredSecret } from '../targets/desired-secret.ts'
import { compareMerged } from '../targets/merged-keys.ts'
import { type Secret, toBase64 } from '../targets/secret.ts'
import { type CompiledTemplates, TemplateRenderError } from '../targets/template.ts'
import type { HeldToken } from '../tokens/held-token.ts'
import type { RecordedToken } from '../tokens/membership.ts'
import type { TargetAction, TargetStamp } from './actions.ts'
import { adopting } from './adoption-event.ts'
import { agreedToken } from './agreed-token.ts'
import { actIfAny, type Verdict } from './verdict.ts'

/** One target, and everything that its content is made of. */
interface TargetContext {
  readonly observed: Observed
  readonly target: TargetSpec
  readonly templates: CompiledTemplates
  readonly values: SourceValues
  readonly token: HeldToken
}

/** The reads and writes that bring all targets to the application's token. */
export function writeTargets(observed: Observed, now: number): Verdict | undefined {
  const { application, credential, sources } = observed
  const token = application?.token
  if (token === undefined || now >= token.expiresAt || sources?.values === undefined) return undefined
  const actions: TargetAction[] = []
  for (const target of credential.spec.targets) {
    const templates = observed.templates.get(target.name)
    if (templates === undefined || targetProblem(observed, target) !== undefined) continue
    const action = tryTargetAction({ observed, target, templates, values: sources.values, token })
    if (isRenewedElsewhere(observed, target.name, now)) continue
    if (action !== undefined && !mustWait(observed, target.name, action, now)) actions.push(action)
  }
  return actIfAny(actions)
}

/** A template may fail on the real values and not on placeholders, for instance when its output is too long. */
function tryTargetAction(context: TargetContext): TargetAction | undefined {
  try {
    return targetAction(context) ?? annotationRemoval(context)
  } catch (error) {
    if (!(error instanceof TemplateRenderError)) throw error
    const { name } = context.target
    const reason = 'TemplateError'
    const message = `spec.targets: Secret ${name}: ${error.message}`
    return { do: 'failTarget', reason, name, problem: { class: 'userMustAct', reason, message } }
  }
}

function targetAction(context: TargetContext): TargetAction | undefined {
  const { observed, target, token } = context
  const { name } = target
  const meta = observed.targetMetas.get(name)
  const recorded = observed.record.get(name)
  const stamp = stampOf(context)

  // Creating is safe: a POST never takes over a Secret that another writer creates meanwhile.
  if (meta === undefined) {
    const undoes = observed.contests.has(name) ? { undoes: { isTokenLost: true, writer: undefined } } : {}
    return { do: 'createTarget', reason: 'Missing', desired: desiredOf(context), stamp, ...undoes }
  }
  // Its deletion is awaited; then it is missing.
  if (meta.isDeleting) return undefined

  const content = observed.targetContents.get(name)
  if (content !== undefined) {
    const agreed = { ...context, token: agreedToken(token, content, observed.credential.status) }
    return correctionOf(agreed, content, stampOf(agreed))
  }
  if (recorded === undefined) return { do: 'fetchTarget', reason: 'NotRecorded', name }
  if (!isSameVersion(recorded, meta)) return { do: 'fetchTarget', reason: 'Drift', name }
  if (recorded.inputs !== stamp.inputs) {
    return { do: 'fetchTarget', reason: changedInput(recorded.inputs, stamp.inputs), name }
  }
  if (isSameToken(recorded.token, token)) {
    // A status of an earlier version does not record which appKey the token belongs to.
    const isComplete = recorded.token?.appKeyFingerprint === stamp.token?.appKeyFingerprint
    return isComplete ? undefined : { do: 'confirmTarget', reason: 'InSync', was: recorded, stamp }
  }
  const desired = desiredOf(context)
  if (observed.alterations.get(name)?.isImmutable === true) {
    return { do: 'recreateTarget', reason: 'Immutable', desired, was: recorded, stamp }
  }
  return target.creationPolicy === 'Merge'
    ? { do: 'applyKeys', reason: 'NewToken', was: recorded, data: desired.data, isForced: false, stamp }
    : { do: 'patchTarget', reason: 'NewToken', desired, correction: noCorrection, was: recorded, stamp }
}

/** The write that makes a target which was read what it should be. */
function correctionOf(context: TargetContext, content: Secret, stamp: TargetStamp): TargetAction | undefined {
  const { observed } = context
  const desired = desiredOf(context)
  const recorded = observed.record.get(desired.name)
  const was = objectVersionOf(content)
  const alteration = observed.alterations.get(desired.name)
  const accepted = alteration === undefined ? desired : accepting(desired, alteration, content)
  const reason = reasonFor(context, stamp)
  const adopts = adopting(observed, context.target, content, desired)
  const undoes = undoing(context, reason, content, desired)
  if (stamp.creationPolicy === 'Owner') {
    const comparison = compareOwned(observed, content, accepted)
    if (comparison.kind === 'same') return confirmation(recorded, was, stamp)
    const write = { desired, was, stamp, ...undoes, ...adopts }
    return comparison.kind === 'recreate'
      ? { do: 'recreateTarget', reason: comparison.reason, ...write }
      : { do: 'patchTarget', reason, correction: comparison.correction, ...write }
  }
  if (isOurs(observed, observed.targetMetas.get(desired.name))) {
    // Keys that are added later are not ours yet: another credential may have taken them first.
    const keptKeys = Object.keys(desired.data).filter((key) => Object.hasOwn(content.data ?? {}, key))
    return {
      do: 'disownTarget',
      reason: 'OwnershipChanged',
      was,
      keptKeys,
      // No data is written: the kept keys hold the token of before, which may have expired or be another application's.
      stamp: { ...stamp, token: recorded?.token, keys: keptKeys, inputs: '' },
    }
  }
  const comparison = compareMerged(content, accepted.data, recorded?.keys ?? [], mergeIdentityOf(observed))
  switch (comparison.kind) {
    case 'same':
      return confirmation(recorded, was, stamp)
    case 'conflict':
      return undefined
    case 'surplus':
      return { do: 'releaseKeys', reason, was, keys: comparison.keys }
    case 'differs':
      return {
        do: 'applyKeys',
        reason,
        was,
        data: desired.data,
        isForced: comparison.isForced,
        stamp,
        ...undoes,
        ...adopts,
      }
  }
}

/** Immutability that admission sets at the creation is no reason to recreate a Secret that is otherwise in sync. */
function compareOwned(observed: Observed, content: Secret, desired: DesiredSecret): Comparison {
  const { alterations, credential, fieldManager } = observed
  const options = { credentialUid: credential.uid, fieldManager }
  if (alterations.get(desired.name)?.isImmutable !== true) return compareSecret(content, desired, options)
  const comparison = compareSecret({ ...content, immutable: false }, desired, options)
  return comparison.kind === 'same' ? comparison : { kind: 'recreate', reason: 'Immutable' }
}

/** Reasons for a write that undoes the change of another writer. */
const corrections: ReadonlySet<string> = new Set(['Drift', 'Missing', 'TypeChanged', 'Immutable'])

/** The change of another writer that a write for this reason undoes; nothing for other reasons. */
function undoing(
  { observed, templates }: TargetContext,
  reason: WriteReason,
  content: Secret,
  desired: DesiredSecret,
): { readonly undoes?: Interference } {
  const isRepeated = reason === 'Adopted' && observed.contests.has(desired.name)
  const isCorrection = corrections.has(reason) && observed.record.has(desired.name)
  if (!isRepeated && !isCorrection) return {}
  const own = new Set([observed.fieldManager, mergeFieldManager(observed.credential.uid)])
  const changed = changedFields(content, desired)
  const isReplaced =
    (content.type ?? 'Opaque') !== desired.type && observed.record.get(desired.name)?.creationPolicy === 'Owner'
  const isTokenLost = isReplaced || templates.keysWithToken.some((key) => changed.data.includes(key))
  return { undoes: { isTokenLost, writer: otherWriterOf(content, changed, own) } }
}

function changedFields({ data = {}, metadata }: Secret, desired: DesiredSecret): ChangedFields {
  const differing = (
    present: Readonly<Record<string, string>> = {},
    wanted: Readonly<Record<string, string>>,
  ): string[] => Object.keys(wanted).filter((key) => present[key] !== wanted[key])
  return {
    data: Object.entries(desired.data).flatMap(([key, value]) => (data[key] === toBase64(value) ? [] : [key])),
    labels: differing(metadata.labels, desired.labels),
    annotations: differing(metadata.annotations, desired.annotations),
  }
}

/** A correction of a contested target waits; a token that the target has never held does not. */
function mustWait({ contests }: Observed, name: string, action: TargetAction, now: number): boolean {
  const contest = contests.get(name)
  if (contest === undefined || !('stamp' in action)) return false
  if (action.reason !== 'Adopted' && !corrections.has(action.reason)) return false
  return action.stamp.token?.fingerprint === contest.fingerprint && now < nextCorrectionAt(contest)
}

/** Takes the annotation off a Secret of another owner once its keys are ours: applying keys cannot. */
function annotationRemoval(context: TargetContext): TargetAction | undefined {
  const { observed, target } = context
  const meta = observed.targetMetas.get(target.name)
  const recorded = observed.record.get(target.name)
  if (target.creationPolicy !== 'Merge' || meta === undefined || meta.isDeleting) return undefined
  if (!isHandedByAnnotation(observed, meta) || !isRecorded(recorded, meta, stampOf(context))) return undefined
  return {
    do: 'patchMetadata',
    reason: 'Adopted',
    was: { name: meta.name, uid: meta.uid, resourceVersion: meta.resourceVersion },
    change: { owners: undefined, annotations: { [annotations.adopt]: null } },
    stamp: stampOf(context),
    // A writer that keeps putting it back is no reason for a write each time.
    undoes: { isTokenLost: false, writer: undefined },
  }
}

function confirmation(
  recorded: TargetRecord | undefined,
  was: ObjectVersion,
  stamp: TargetStamp,
): TargetAction | undefined {
  return isRecorded(recorded, was, stamp) ? undefined : { do: 'confirmTarget', reason: 'InSync', was, stamp }
}

/** Why a Secret that was read is written: the first cause that explains the difference. */
function reasonFor({ observed, target: { name } }: TargetContext, stamp: TargetStamp): WriteReason {
  const recorded = observed.record.get(name)
  if (recorded === undefined) {
    // A Secret of another owner has none of our keys before the first write, unless it was handed over.
    const isMissing =
      stamp.creationPolicy === 'Merge' && !isHandedByAnnotation(observed, observed.targetMetas.get(name))
    return isMissing ? 'Missing' : 'Adopted'
  }
  if (recorded.creationPolicy !== stamp.creationPolicy) return 'OwnershipChanged'
  if (recorded.token?.fingerprint !== stamp.token?.fingerprint) return 'NewToken'
  if (recorded.inputs !== stamp.inputs) return changedInput(recorded.inputs, stamp.inputs)
  return isSameToken(recorded.token, stamp.token) ? 'Drift' : 'NewToken'
}

function desiredOf({ observed, target, templates, token, values }: TargetContext): DesiredSecret {
  const { credential, gatewayUrl } = observed
  return desiredSecret({ credential, target, templates, gatewayUrl, sources: values, token })
}

/** The record of the target once it holds the token. */
function stampOf({ observed, target, templates, token, values }: TargetContext): TargetStamp {
  const { fingerprint, expiresAt, expiresAtWall, issuedAtWall } = token
  return {
    creationPolicy: target.creationPolicy,
    deletionPolicy: target.deletionPolicy,
    keys: templates.keys,
    inputs: inputsOf(observed, target.name),
    token: {
      fingerprint,
      expiresAt,
      expiresAtWall,
      issuedAtWall,
      gatewayUrl: observed.gatewayUrl,
      appKeyFingerprint: appKeyFingerprintOf(observed.credential, values.appKey),
    },
  }
}

function isSameVersion(recorded: ObjectVersion, present: ObjectVersion): boolean {
  return recorded.uid === present.uid && recorded.resourceVersion === present.resourceVersion
}

function isRecorded(recorded: TargetRecord | undefined, was: ObjectVersion, stamp: TargetStamp): boolean {
  return (
    recorded !== undefined &&
    isSameVersion(recorded, was) &&
    recorded.inputs === stamp.inputs &&
    isSameToken(recorded.token, stamp.token)
  )
}

function isSameToken(a: RecordedToken | undefined, b: RecordedToken | undefined): boolean {
  if (a === undefined || b === undefined) return false
  return a.fingerprint === b.fingerprint && Math.abs(a.expiresAtWall - b.expiresAtWall) <= agreementMs
}
