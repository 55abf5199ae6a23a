import type { RecordedToken } from '../tokens/membership.ts'
import type { HeldToken } from '../tokens/held-token.ts'
import {
  inputsOf,
  objectVersionOf,
  type Observed,
  type ObjectVersion,
  type SourceValues,
  type TargetRecord,
  type TargetSpec,
} from '../observe/observed.ts'
import { isOurs, mergeIdentityOf } from '../observe/ownership.ts'
import { targetProblem } from '../observe/target-problems.ts'
import { appKeyFingerprintOf } from '../observe/token-origin.ts'
import { compareSecret, noCorrection } from '../targets/compare-secret.ts'
import { type DesiredSecret, desiredSecret } from '../targets/desired-secret.ts'
import type { Secret } from '../targets/secret.ts'
import { compareMerged } from '../targets/merged-keys.ts'
import { type CompiledTemplates, TemplateRenderError } from '../targets/template.ts'
import type { TargetAction, TargetStamp } from './actions.ts'

/** The reads and writes that bring all targets to the application's token. */
export function targetActions(observed: Observed, now: number): TargetAction[] {
  const { application, credential, sources, templates } = observed
  const token = application?.token
  if (token === undefined || now >= token.expiresAt || sources?.values === undefined) return []
  const actions: TargetAction[] = []
  for (const target of credential.spec.targets) {
    const compiled = templates.get(target.name)
    if (compiled === undefined || targetProblem(observed, target) !== undefined) continue
    const action = tryTargetAction(observed, target, compiled, sources.values, token)
    if (action !== undefined) actions.push(action)
  }
  return actions
}

/** A template may fail on real values though it did not on placeholders: too long an output, say. */
function tryTargetAction(...args: Parameters<typeof targetAction>): TargetAction | undefined {
  try {
    return targetAction(...args)
  } catch (error) {
    if (!(error instanceof TemplateRenderError)) throw error
    const { name } = args[1]
    const message = `spec.targets: Secret ${name}: ${error.message}`
    return { do: 'failTarget', name, problem: { class: 'userMustAct', reason: 'TemplateError', message } }
  }
}

function targetAction(
  observed: Observed,
  target: TargetSpec,
  templates: CompiledTemplates,
  values: SourceValues,
  token: HeldToken,
): TargetAction | undefined {
  const { name } = target
  const meta = observed.targetMetas.get(name)
  const recorded = observed.record.get(name)
  const stamp = stampOf(observed, target, templates, values, token)
  const { credential, gatewayUrl } = observed
  const desired = (): DesiredSecret =>
    desiredSecret({ credential, target, templates, gatewayUrl, sources: values, token })

  // A Secret that somebody else makes was seen to be missing before.
  if (meta === undefined) return { do: 'createTarget', desired: desired(), stamp }
  // It is created again when it is gone.
  if (meta.isDeleting) return undefined

  const content = observed.targetContents.get(name)
  if (content !== undefined) return correctionOf(observed, content, desired(), stamp)
  const isAsWeLeftIt = recorded?.uid === meta.uid && recorded.resourceVersion === meta.resourceVersion
  if (!isAsWeLeftIt || recorded.inputs !== stamp.inputs) return { do: 'fetchTarget', name }
  if (isSameToken(recorded.token, token)) {
    // A status of an earlier version does not say whose token it is.
    const isComplete = recorded.token?.appKeyFingerprint === stamp.token?.appKeyFingerprint
    return isComplete ? undefined : { do: 'confirmTarget', was: recorded, stamp }
  }
  return target.creationPolicy === 'Merge'
    ? { do: 'applyKeys', was: recorded, data: desired().data, isForced: false, stamp }
    : { do: 'patchTarget', desired: desired(), correction: noCorrection, was: recorded, stamp }
}

/** What makes a target that was read what it should be. */
function correctionOf(
  observed: Observed,
  content: Secret,
  desired: DesiredSecret,
  stamp: TargetStamp,
): TargetAction | undefined {
  const { credential, fieldManager } = observed
  const recorded = observed.record.get(desired.name)
  const was = objectVersionOf(content)
  const settled = (): TargetAction | undefined =>
    isRecorded(recorded, was, stamp) ? undefined : { do: 'confirmTarget', was, stamp }

  if (stamp.creationPolicy === 'Owner') {
    const comparison = compareSecret(content, desired, credential.uid, fieldManager)
    switch (comparison.kind) {
      case 'same':
        return settled()
      case 'differs':
        return { do: 'patchTarget', desired, correction: comparison.correction, was, stamp }
      case 'recreate':
        return { do: 'recreateTarget', desired, was, stamp }
    }
  }
  if (isOurs(observed, observed.targetMetas.get(desired.name))) {
    // What is added later is not ours yet: another credential may be first.
    const keptKeys = Object.keys(desired.data).filter((key) => Object.hasOwn(content.data ?? {}, key))
    return { do: 'disownTarget', was, keptKeys, stamp: { ...stamp, keys: keptKeys, inputs: '' } }
  }
  const comparison = compareMerged(content, desired.data, recorded?.keys ?? [], mergeIdentityOf(observed))
  switch (comparison.kind) {
    case 'same':
      return settled()
    case 'conflict':
      return undefined
    case 'surplus':
      return { do: 'releaseKeys', was, keys: comparison.keys }
    case 'differs':
      return { do: 'applyKeys', was, data: desired.data, isForced: comparison.isForced, stamp }
  }
}

/** What the target is recorded as once it holds the token. */
function stampOf(
  observed: Observed,
  target: TargetSpec,
  templates: CompiledTemplates,
  { appKey }: SourceValues,
  { fingerprint, expiresAt, expiresAtWall, issuedAtWall }: HeldToken,
): TargetStamp {
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
      appKeyFingerprint: appKeyFingerprintOf(observed.credential, appKey),
    },
  }
}

function isRecorded(recorded: TargetRecord | undefined, was: ObjectVersion, stamp: TargetStamp): boolean {
  return (
    recorded?.uid === was.uid &&
    recorded.resourceVersion === was.resourceVersion &&
    recorded.inputs === stamp.inputs &&
    isSameToken(recorded.token, stamp.token)
  )
}

function isSameToken(a: RecordedToken | undefined, b: RecordedToken | undefined): boolean {
  if (a === undefined || b === undefined) return false
  return a.fingerprint === b.fingerprint && a.expiresAtWall === b.expiresAtWall && a.issuedAtWall === b.issuedAtWall
}
