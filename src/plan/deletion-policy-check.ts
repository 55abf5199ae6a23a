import { mergeFinalizer } from '../api/v1alpha1/names.ts'
import type { Store } from '../kubernetes/store.ts'
import {
  type Credential,
  type ObjectMetadata,
  objectVersionOf,
  type Observed,
  type TargetRecord,
  type TargetSpec,
} from '../observe/observed.ts'
import { mayWriteFinalizer } from '../observe/own-writes.ts'
import type { StoredCredential } from '../observe/parse-object.ts'
import { correctedOwners } from '../targets/compare-secret.ts'
import { ownershipFor } from '../targets/desired-secret.ts'
import type { Secret } from '../targets/secret.ts'
import type { MetadataChange } from '../targets/secret-bodies.ts'
import type { TargetAction, TargetStamp } from './actions.ts'
import { act, actIfAny, type Verdict } from './verdict.ts'

/**
 * Applies a changed deletionPolicy at once, with or without a token: the garbage collector goes by owner references. A
 * later change by another writer is drift, which writeTargets corrects.
 */
export function applyDeletionPolicy(observed: Observed, now: number): Verdict | undefined {
  const actions = actIfAny(deletionPolicyActions(observed))
  if (actions !== undefined) return actions
  const { finalizers } = observed.credential
  const isNeeded = unretainedTargets(observed).length > 0 && !finalizers.includes(mergeFinalizer)
  return isNeeded && mayWriteFinalizer(observed, true, now)
    ? act({ do: 'setFinalizers', reason: 'NotRetained', finalizers: [...finalizers, mergeFinalizer] })
    : undefined
}

/** The reads and writes that apply the deletionPolicy of all targets; none for a target whose write failed. */
export function deletionPolicyActions(observed: Observed): TargetAction[] {
  return observed.credential.spec.targets.flatMap((target) => {
    const { name } = target
    const action = observed.targetProblems.has(name) ? undefined : actionFor(observed, target)
    return action === undefined ? [] : [action]
  })
}

/** Targets that the garbage collector would remove with the resource, though the spec retains them. */
export function unretainedTargets(observed: Observed): string[] {
  return observed.credential.spec.targets
    .filter((target) => target.deletionPolicy === 'Retain' && isUnapplied(observed, target))
    .map(({ name }) => name)
}

/**
 * The Secrets of a deleted resource that its last spec retains, although they still have its owner reference: it was
 * deleted before that edit was applied, and the garbage collector is about to remove them.
 */
export function lateRetentions(
  { namespace, spec, uid }: StoredCredential,
  secrets: Pick<Store<ObjectMetadata>, 'get'>,
): string[] {
  const retained = spec?.targets.filter(({ deletionPolicy }) => deletionPolicy === 'Retain') ?? []
  return retained.map(({ name }) => name).filter((name) => secrets.get(`${namespace}/${name}`)?.controllerUid === uid)
}

function actionFor(observed: Observed, target: TargetSpec): TargetAction | undefined {
  const { name } = target
  const recorded = recordOf(observed, name)
  if (!isUnapplied(observed, target)) return confirmation(observed, target, recorded)
  const content = observed.targetContents.get(name)
  if (content === undefined) return { do: 'fetchTarget', reason: 'OwnershipChanged', name }
  const stamp = stampOf(observed, target, recorded)
  const change = ownershipChange(observed.credential, target.deletionPolicy, content)
  return { do: 'patchMetadata', reason: 'OwnershipChanged', was: objectVersionOf(content), change, stamp }
}

/** Where the Secret needs no write, the record alone is brought up to date: it decides once the target leaves the spec. */
function confirmation(
  { targetMetas }: Observed,
  { deletionPolicy, name }: TargetSpec,
  recorded: TargetRecord | undefined,
): TargetAction | undefined {
  if (recorded === undefined || recorded.deletionPolicy === deletionPolicy) return undefined
  if (targetMetas.get(name)?.isDeleting !== false) return undefined
  return { do: 'confirmTarget', reason: 'InSync', was: recorded, stamp: { ...recorded, deletionPolicy } }
}

/** Whether the present deletionPolicy was never written to a Secret of ours. */
function isUnapplied(observed: Observed, target: TargetSpec): boolean {
  const { credential, targetMetas } = observed
  const meta = targetMetas.get(target.name)
  if (meta === undefined || meta.isDeleting) return false
  if (recordOf(observed, target.name)?.deletionPolicy === target.deletionPolicy) return false
  const isOwner = meta.controllerUid === credential.uid
  if (target.deletionPolicy === 'Retain') return isOwner
  return target.creationPolicy === 'Owner' && !isOwner && isRetainedFor(meta, credential.uid)
}

function isRetainedFor({ controllerUid, retainedFor }: ObjectMetadata, uid: string): boolean {
  return controllerUid === undefined && retainedFor?.uid === uid
}

/** The change of owner references and annotations that gives a Secret its deletionPolicy. */
export function ownershipChange(
  credential: Pick<Credential, 'name' | 'uid'>,
  deletionPolicy: TargetSpec['deletionPolicy'],
  content: Secret,
): MetadataChange {
  const { annotations, owner } = ownershipFor(credential, deletionPolicy)
  const removed = Object.keys(ownershipFor(credential, 'Retain').annotations).map((key) => [key, null] as const)
  return {
    owners: correctedOwners(content.metadata.ownerReferences ?? [], credential.uid, owner),
    annotations: { ...Object.fromEntries(removed), ...annotations },
  }
}

/** The record with the new policy; its keys and its token stay as they were written. */
function stampOf(
  { templates }: Observed,
  { deletionPolicy, name }: TargetSpec,
  recorded: TargetRecord | undefined,
): TargetStamp {
  const unrecorded = { keys: templates.get(name)?.keys ?? [], token: undefined, inputs: '' }
  const { inputs, keys, token } = recorded ?? unrecorded
  return { creationPolicy: 'Owner', deletionPolicy, keys, token, inputs }
}

function recordOf({ record, targetMetas }: Observed, name: string): TargetRecord | undefined {
  const recorded = record.get(name)
  return recorded?.uid === targetMetas.get(name)?.uid ? recorded : undefined
}
