import { objectVersionOf, type Observed } from '../observe/observed.ts'
import { mergeIdentityOf } from '../observe/ownership.ts'
import type { Secret } from '../targets/secret.ts'
import { mergedKeys } from '../targets/merged-keys.ts'
import type { Action } from './actions.ts'

/**
 * What takes the keys of ours out of a Secret that is somebody else's; nothing where there are none, where it goes itself,
 * or where nobody can take them out.
 */
export function releaseActions(observed: Observed, name: string): Action[] {
  const { targetContents, targetMetas, targetProblems } = observed
  const meta = targetMetas.get(name)
  if (meta === undefined || meta.isDeleting || targetProblems.has(name)) return []
  const content = targetContents.get(name)
  if (content === undefined) return [{ do: 'fetchTarget', name }]
  if (content.immutable === true) return []
  const keys = ownKeys(observed, content)
  return keys.length === 0 ? [] : [{ do: 'releaseKeys', was: objectVersionOf(content), keys }]
}

/** What tells of keys of ours that stay, for the Secret is immutable: it cannot be changed, only be deleted. */
export function leavingActions(observed: Observed, name: string): Action[] {
  const content = observed.targetContents.get(name)
  if (content?.immutable !== true) return []
  const keys = ownKeys(observed, content)
  if (keys.length === 0) return []
  const note = `Secret ${name} is immutable: ${keys.join(', ')} cannot be taken out of it and stays; delete the Secret if it is of no use`
  return [{ do: 'emitEvent', event: { type: 'Warning', reason: 'KeysLeftBehind', action: 'Sync', note } }]
}

function ownKeys(observed: Observed, content: Secret): string[] {
  const recorded = observed.record.get(content.metadata.name ?? '')
  return mergedKeys(content, recorded?.keys ?? [], mergeIdentityOf(observed))
}
