import { mergeFinalizer } from '../api/v1alpha1/names.ts'
import type { Secret } from '../targets/desired-secret.ts'
import { mergedKeys } from '../targets/merged-keys.ts'
import type { Action } from './actions.ts'
import type { Observed } from './observed.ts'
import { mergeIdentityOf } from './ownership.ts'
import { versionOf } from './target-checks.ts'
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
  const merged = mergedTargets(observed)
  const actions = merged.flatMap((name) => releaseActions(observed, name))
  if (actions.length > 0) return { kind: 'do', actions }
  const problem = [...targetProblems.values()][0]
  if (problem !== undefined) return { kind: 'stop', problem }
  const left = merged.flatMap((name) => leavingActions(observed, name))
  return { kind: 'do', actions: [...left, { do: 'setFinalizers', finalizers: without(credential.finalizers) }] }
}

/** The finalizer, where keys of ours are or will be in Secrets that are somebody else's; and only there. */
export function finalizersToSet(observed: Observed): Verdict | undefined {
  const { finalizers } = observed.credential
  const isNeeded = mergedTargets(observed).length > 0
  if (isNeeded === finalizers.includes(mergeFinalizer)) return undefined
  const next = isNeeded ? [...finalizers, mergeFinalizer] : without(finalizers)
  return { kind: 'do', actions: [{ do: 'setFinalizers', finalizers: next }] }
}

/**
 * What takes the keys of ours out of a Secret that is somebody else's; nothing where there are none, where it goes itself,
 * or where nobody can take them out.
 */
export function releaseActions(observed: Observed, name: string): Action[] {
  const { targetContents, targetMetas, targetProblems } = observed
  const meta = targetMetas.get(name)
  if (meta === undefined || meta.isDeleting || targetProblems.has(name)) return []
  const content = targetContents.get(name)
  if (content === undefined) return [{ do: 'readTarget', name }]
  if (content.immutable === true) return []
  const keys = ownKeys(observed, content)
  return keys.length === 0 ? [] : [{ do: 'releaseKeys', was: versionOf(content), keys }]
}

/** What tells of keys of ours that stay, for the Secret is immutable: it cannot be changed, only be deleted. */
export function leavingActions(observed: Observed, name: string): Action[] {
  const content = observed.targetContents.get(name)
  if (content?.immutable !== true) return []
  const keys = ownKeys(observed, content)
  if (keys.length === 0) return []
  const note = `Secret ${name} is immutable: ${keys.join(', ')} cannot be taken out of it and stays; delete the Secret if it is of no use`
  return [{ do: 'tell', notice: { type: 'Warning', reason: 'KeysLeftBehind', action: 'Sync', note } }]
}

function ownKeys(observed: Observed, content: Secret): string[] {
  const recorded = observed.record.get(content.metadata.name ?? '')
  return mergedKeys(content, recorded?.keys ?? [], mergeIdentityOf(observed))
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
