import { mergeFinalizer } from '../api/v1alpha1/names.ts'
import type { Observed } from '../observe/observed.ts'
import { releaseActions, warnOfKeysLeftBehind } from './merged-keys-release.ts'
import { act, actIfAny, stopFor, type Verdict } from './verdict.ts'

/**
 * A resource that is being deleted. The garbage collector removes owned Secrets, and retained ones stay; only keys in
 * Secrets of other owners must be removed here, and only they carry the finalizer.
 */
export function finishDeletion(observed: Observed): Verdict | undefined {
  const { credential, membership, targetProblems } = observed
  if (!credential.isDeleting) return undefined
  if (membership !== undefined) return act({ do: 'leave', reason: 'Deleted' })
  if (!credential.finalizers.includes(mergeFinalizer)) return { kind: 'gone', reason: 'Deleted' }
  const merged = mergedTargets(observed)
  const release = actIfAny(merged.flatMap((name) => releaseActions(observed, name, 'Deleted')))
  if (release !== undefined) return release
  const [problem] = targetProblems.values()
  if (problem !== undefined) return stopFor(observed, problem.reason, problem)
  const warnings = merged.flatMap((name) => warnOfKeysLeftBehind(observed, name))
  return act(...warnings, { do: 'setFinalizers', reason: 'Deleted', finalizers: without(credential.finalizers) })
}

/** The finalizer, exactly while our keys are or will be in Secrets of other owners. */
export function setFinalizer(observed: Observed): Verdict | undefined {
  const { finalizers } = observed.credential
  const isNeeded = mergedTargets(observed).length > 0
  if (isNeeded === finalizers.includes(mergeFinalizer)) return undefined
  return isNeeded
    ? act({ do: 'setFinalizers', reason: 'MergedKeys', finalizers: [...finalizers, mergeFinalizer] })
    : act({ do: 'setFinalizers', reason: 'NoMergedKeys', finalizers: without(finalizers) })
}

/**
 * Targets whose keys are removed with the resource: by the record, and by the spec for those not recorded yet. For a
 * target in the spec, the deletionPolicy of the spec counts.
 */
function mergedTargets({ credential, record }: Observed): string[] {
  const specs = new Map(credential.spec.targets.map((target) => [target.name, target]))
  return [...new Set([...specs.keys(), ...record.keys()])].filter((name) => {
    const [wanted, recorded] = [specs.get(name), record.get(name)]
    const isMerged = wanted?.creationPolicy === 'Merge' || recorded?.creationPolicy === 'Merge'
    return isMerged && (wanted ?? recorded)?.deletionPolicy === 'Delete'
  })
}

function without(finalizers: readonly string[]): string[] {
  return finalizers.filter((finalizer) => finalizer !== mergeFinalizer)
}
