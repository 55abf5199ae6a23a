import { mergeFinalizer } from '../api/v1alpha1/names.ts'
import type { Problem } from '../api/v1alpha1/problem.ts'
import type { Observed } from '../observe/observed.ts'
import { mayWriteFinalizer } from '../observe/own-writes.ts'
import { joinTargetProblems } from '../observe/target-problems.ts'
import type { Action } from './actions.ts'
import { deletionPolicyActions, unretainedTargets } from './deletion-policy-check.ts'
import { releaseActions, warnOfKeysLeftBehind } from './merged-keys-release.ts'
import { act, actIfAny, stopFor, type Verdict } from './verdict.ts'

/**
 * A resource that is being deleted. The garbage collector removes owned Secrets, and retained ones stay; only keys in
 * Secrets of other owners must be removed here, and only they carry the finalizer, besides retained Secrets whose owner
 * reference could not be removed yet.
 */
export function finishDeletion(observed: Observed): Verdict | undefined {
  const { credential, membership } = observed
  if (!credential.isDeleting) return undefined
  if (membership !== undefined) return act({ do: 'leave', reason: 'Deleted' })
  const retention = actIfAny(deletionPolicyActions(observed).filter((action) => action.do !== 'confirmTarget'))
  if (retention !== undefined) return retention
  if (!credential.finalizers.includes(mergeFinalizer)) return { kind: 'gone', reason: 'Deleted' }
  const merged = mergedTargets(observed)
  const release = actIfAny(merged.flatMap((name) => releaseActions(observed, name, 'Deleted')))
  if (release !== undefined) return release
  const problem = blockingProblem(observed)
  if (problem !== undefined) return stopFor(observed, problem.reason, problem)
  const warnings = [
    ...merged.flatMap((name) => warnOfKeysLeftBehind(observed, name)),
    ...unretainedTargets(observed).map((name) => warnOfLostTarget(observed, name)),
  ]
  return act(...warnings, { do: 'setFinalizers', reason: 'Deleted', finalizers: without(credential.finalizers) })
}

/** Without the right to change a Secret, the finalizer would hold a namespace that is being deleted for ever. */
function blockingProblem(observed: Observed): Problem | undefined {
  const unretained = unretainedTargets(observed)
  const isHopeless = ([name, { isForbidden }]: [string, Problem]): boolean =>
    isForbidden === true && unretained.includes(name)
  return joinTargetProblems(new Map([...observed.targetProblems].filter((entry) => !isHopeless(entry))))
}

function warnOfLostTarget({ targetProblems }: Observed, name: string): Action {
  const reason = 'TargetWriteFailed'
  const cause = targetProblems.get(name)?.message ?? `spec.targets: Secret ${name} was not written`
  const note = `${cause}; the Secret is deleted with the resource, though its deletionPolicy is Retain`
  return { do: 'emitEvent', reason, event: { type: 'Warning', reason, action: 'Sync', note } }
}

/** Also while suspended: nothing is held that needs no release. */
export function removeFinalizer(observed: Observed, now: number): Verdict | undefined {
  const { finalizers } = observed.credential
  const isNeeded = mergedTargets(observed).length > 0 || unretainedTargets(observed).length > 0
  if (isNeeded || !finalizers.includes(mergeFinalizer) || !mayWriteFinalizer(observed, false, now)) return undefined
  return act({ do: 'setFinalizers', reason: 'NoMergedKeys', finalizers: without(finalizers) })
}

/** The finalizer, while our keys are or will be in Secrets of other owners. */
export function setFinalizer(observed: Observed, now: number): Verdict | undefined {
  const { finalizers } = observed.credential
  if (mergedTargets(observed).length === 0 || finalizers.includes(mergeFinalizer)) return undefined
  // A token that waited for the finalizer could expire.
  if (!mayWriteFinalizer(observed, true, now)) return undefined
  return act({ do: 'setFinalizers', reason: 'MergedKeys', finalizers: [...finalizers, mergeFinalizer] })
}

/**
 * Targets whose keys are removed with the resource: by the record, and by the spec for those not recorded yet. For a
 * target in the spec, the deletionPolicy of the spec counts.
 */
function mergedTargets({ credential, record }: Observed): string[] {
  const { targets } = credential.spec
  const names: string[] = []
  for (const { creationPolicy, deletionPolicy, name } of targets) {
    const isMerged = creationPolicy === 'Merge' || record.get(name)?.creationPolicy === 'Merge'
    if (isMerged && deletionPolicy === 'Delete') names.push(name)
  }
  for (const { creationPolicy, deletionPolicy, name } of record.values()) {
    if (creationPolicy !== 'Merge' || deletionPolicy !== 'Delete') continue
    if (targets.every((target) => target.name !== name)) names.push(name)
  }
  return names
}

function without(finalizers: readonly string[]): string[] {
  return finalizers.filter((finalizer) => finalizer !== mergeFinalizer)
}
