import { annotations, apiVersion, kind, labels, managedBy } from '../api/v1alpha1/names.ts'
import type { RecordedToken } from '../enos/application.ts'
import type { HeldToken } from '../enos/schedule.ts'
import { formatTime } from '../lib/time.ts'
import { compareSecret, type DesiredSecret, noCorrection } from '../targets/desired-secret.ts'
import type { CompiledTemplates } from '../targets/template.ts'
import type { Action, TargetStamp } from './actions.ts'
import {
  inputsOf,
  isProblem,
  type Observed,
  type Problem,
  type SecretMeta,
  type Sources,
  type TargetSpec,
} from './observed.ts'

/** A Secret is ours when the credential is its controller. */
export function isOurs({ credential }: Observed, meta: SecretMeta | undefined): boolean {
  return meta !== undefined && meta.controllerUid === credential.uid
}

/** What stands in the way of a target, whatever token it is to hold. */
export function targetProblem(observed: Observed, { name }: TargetSpec): Problem | undefined {
  const meta = observed.targetMetas.get(name)
  const written = observed.targetProblems.get(name)
  if (written !== undefined) return written
  if (meta === undefined || isOurs(observed, meta)) return undefined
  const isLostOwner = meta.controllerUid === undefined && observed.record.get(name)?.uid === meta.uid
  if (isLostOwner) return undefined
  return {
    class: 'userMustAct',
    reason: 'TargetConflict',
    message:
      `spec.targets: Secret ${name} is there already and is not of this resource's making` +
      `${meta.controllerUid === undefined ? '' : ' (it has another owner)'}; delete it, or name another target`,
  }
}

/** The reads and writes that bring all targets to the application's token. */
export function targetActions(observed: Observed, now: number): Action[] {
  const { application, credential, sources, templates } = observed
  const token = application?.token
  if (token === undefined || now >= token.expiresAt || isProblem(templates)) return []
  if (sources === undefined || isProblem(sources.values)) return []
  const actions: Action[] = []
  for (const target of credential.spec.targets) {
    const compiled = templates.get(target.name)
    if (compiled === undefined || targetProblem(observed, target) !== undefined) continue
    const action = targetAction(observed, target, compiled, sources.values, token)
    if (action !== undefined) actions.push(action)
  }
  return actions
}

function targetAction(
  observed: Observed,
  target: TargetSpec,
  templates: CompiledTemplates,
  values: Exclude<Sources['values'], Problem>,
  token: HeldToken,
): Action | undefined {
  const meta = observed.targetMetas.get(target.name)
  const recorded = observed.record.get(target.name)
  const inputs = inputsOf(observed, target.name)
  const { fingerprint, expiresAt, expiresAtWall, issuedAtWall } = token
  const stamp: TargetStamp = {
    keys: templates.keys,
    inputs,
    token: {
      fingerprint,
      expiresAt,
      expiresAtWall,
      issuedAtWall,
      gatewayUrl: observed.gatewayUrl,
      appKey: values.appKey,
    },
  }

  if (meta === undefined)
    return { do: 'createTarget', desired: desiredOf(observed, target, templates, values, token), stamp }
  // It is created again when it is gone.
  if (meta.isDeleting) return undefined

  const content = observed.targetContents.get(target.name)
  if (content !== undefined) {
    const desired = desiredOf(observed, target, templates, values, token)
    const comparison = compareSecret(content, desired, observed.fieldManager)
    const was = { name: target.name, uid: meta.uid, resourceVersion: content.metadata.resourceVersion ?? '' }
    switch (comparison.kind) {
      case 'same':
        return isRecorded(recorded, was, stamp) ? undefined : { do: 'confirmTarget', was, stamp }
      case 'differs':
        return { do: 'patchTarget', desired, correction: comparison.correction, was, stamp }
      case 'recreate':
        return { do: 'recreateTarget', desired, was, stamp }
    }
  }
  const isAsWeLeftIt = recorded?.uid === meta.uid && recorded.resourceVersion === meta.resourceVersion
  if (!isAsWeLeftIt || recorded.inputs !== inputs) return { do: 'readTarget', name: target.name }
  if (isSameToken(recorded.token, token)) return undefined
  const desired = desiredOf(observed, target, templates, values, token)
  return { do: 'patchTarget', desired, correction: noCorrection, was: recorded, stamp }
}

function isRecorded(
  recorded: (TargetStamp & { uid: string; resourceVersion: string }) | undefined,
  was: { uid: string; resourceVersion: string },
  stamp: TargetStamp,
): boolean {
  return (
    recorded?.uid === was.uid &&
    recorded.resourceVersion === was.resourceVersion &&
    recorded.inputs === stamp.inputs &&
    isSameToken(recorded.token, stamp.token)
  )
}

function isSameToken(a: RecordedToken, b: RecordedToken): boolean {
  return a.fingerprint === b.fingerprint && a.expiresAtWall === b.expiresAtWall && a.issuedAtWall === b.issuedAtWall
}

function desiredOf(
  { credential, gatewayUrl }: Observed,
  target: TargetSpec,
  templates: CompiledTemplates,
  { appKey, appSecret }: Exclude<Sources['values'], Problem>,
  token: HeldToken,
): DesiredSecret {
  const { name, namespace, uid } = credential
  const expiresAt = formatTime(token.expiresAtWall)
  const issuedAt = formatTime(token.issuedAtWall)
  return {
    namespace,
    name: target.name,
    type: target.type ?? 'Opaque',
    labels: { ...target.labels, [labels.managedBy]: managedBy, [labels.credential]: name },
    annotations: { ...target.annotations, [annotations.expiresAt]: expiresAt, [annotations.issuedAt]: issuedAt },
    owner: { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: false },
    data: templates.render({
      accessToken: token.token,
      appKey,
      appSecret,
      gatewayUrl,
      expiresAt,
      expiresAtUnix: token.expiresAtWall / 1000,
      issuedAt,
      name,
      namespace,
    }),
  }
}
