import { mergeFinalizer } from '../api/v1alpha1/names.ts'
import type { Observed } from '../observe/observed.ts'
import { leavingActions, releaseActions } from './merged-keys-release.ts'
import type { Verdict } from './verdict.ts'

/**
 * A resource that is being deleted. Owned Secrets are removed by the garbage collector, retained ones stay; only keys in
 * Secrets that are somebody else's must be taken out here, and only they carry a finalizer.
 */
export function finishDeletion(observed: Observed): Verdict | undefined {
  const { credential, membership, targetProblems } = observed
  if (!credential.isDeleting) return undefined
  if (membership !== undefined) return { kind: 'do', actions: [{ do: 'leave' }] }
  if (!credential.finalizers.includes(mergeFinalizer)) return { kind: 'gone' }
  const merged = mergedTargets(observed)
  const actions = merged.flatMap((name) => releaseActions(observed, name))
  if (actions.length > 0) return { kind: 'do', actions }
  const problem = [...targetProblems.values()][0]
  if (problem !== undefined) return { kind: 'stop', problem }
  const left = merged.flatMap((name) => leavingActions(observed, name))
  return { kind: 'do', actions: [...left, { do: 'setFinalizers', finalizers: without(credential.finalizers) }] }
}

/** The finalizer, where keys of ours are or will be in Secrets that are somebody else's; and only there. */
export function setFinalizer(observed: Observed): Verdict | undefined {
  const { finalizers } = observed.credential
  const isNeeded = mergedTargets(observed).length > 0
  if (isNeeded === finalizers.includes(mergeFinalizer)) return undefined
  const next = isNeeded ? [...finalizers, mergeFinalizer] : without(finalizers)
  return { kind: 'do', actions: [{ do: 'setFinalizers', finalizers: next }] }
}

/**
 * Targets whose keys are to go with the resource: by the record, and by the spec for what was not recorded in time. Of a
 * target that is in the spec, its deletionPolicy there is the user's last word.
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
