import { mergeFinalizer } from '../api/v1alpha1/names.ts'
import { mergedKeys } from '../targets/merged-keys.ts'
import type { Action } from './actions.ts'
import type { Observed } from './observed.ts'
import { mergeIdentityOf, versionOf } from './target-checks.ts'
import type { Verdict } from './verdict.ts'

/**
 * A resource that is being deleted. Owned Secrets are removed by the garbage collector, retained ones stay; only keys in
 * Secrets that are somebody else's must be taken out here, and only they carry a finalizer.
 */
export function isBeingDeleted(observed: Observed): Verdict | undefined {
  const { credential, membership, targetProblems } = observed
  if (!credential.isDeleting) return undefined
  if (membership !== undefined) return { kind: 'do', actions: [{ do: 'leave' }] }
  if (!credential.finalizers.includes(mergeFinalizer)) return { kind: 'gone' }
  const actions = mergedTargets(observed).flatMap((name) => releaseActions(observed, name))
  if (actions.length > 0) return { kind: 'do', actions }
  const problem = [...targetProblems.values()][0]
  if (problem !== undefined) return { kind: 'stop', problem }
  return { kind: 'do', actions: [{ do: 'setFinalizers', finalizers: without(credential.finalizers) }] }
}

/** The finalizer, where keys of ours are or will be in Secrets that are somebody else's; and only there. */
export function finalizersToSet(observed: Observed): Verdict | undefined {
  const { finalizers } = observed.credential
  const isNeeded = mergedTargets(observed).length > 0
  if (isNeeded === finalizers.includes(mergeFinalizer)) return undefined
  const next = isNeeded ? [...finalizers, mergeFinalizer] : without(finalizers)
  return { kind: 'do', actions: [{ do: 'setFinalizers', finalizers: next }] }
}

/** What takes the keys of ours out of a Secret that is somebody else's; nothing where there are none, or it goes itself. */
export function releaseActions(observed: Observed, name: string): Action[] {
  const { record, targetContents, targetMetas, targetProblems } = observed
  const meta = targetMetas.get(name)
  if (meta === undefined || meta.isDeleting || targetProblems.has(name)) return []
  const content = targetContents.get(name)
  if (content === undefined) return [{ do: 'readTarget', name }]
  const keys = mergedKeys(content, record.get(name)?.keys ?? [], mergeIdentityOf(observed))
  return keys.length === 0 ? [] : [{ do: 'releaseKeys', was: versionOf(content), keys }]
}

/** Targets whose keys are to go with the resource: by the record, and by the spec for what was not recorded in time. */
function mergedTargets({ credential, record }: Observed): string[] {
  return [...credential.spec.targets, ...record.values()]
    .filter(({ creationPolicy, deletionPolicy }) => creationPolicy === 'Merge' && deletionPolicy === 'Delete')
    .map(({ name }) => name)
    .filter((name, at, names) => names.indexOf(name) === at)
}

function without(finalizers: readonly string[]): string[] {
  return finalizers.filter((finalizer) => finalizer !== mergeFinalizer)
}
