import { objectVersionOf, type Observed } from '../observe/observed.ts'
import { mergeIdentityOf } from '../observe/ownership.ts'
import { mergedKeys } from '../targets/merged-keys.ts'
import type { Secret } from '../targets/secret.ts'
import type { Action } from './actions.ts'

type ReleaseReason = 'RemovedFromSpec' | 'Deleted'

/**
 * Removes our keys from a Secret of another owner. Nothing where there are none, where the Secret is being deleted, or
 * where the keys cannot be removed.
 */
export function releaseActions(observed: Observed, name: string, reason: ReleaseReason): Action[] {
  const { targetContents, targetMetas, targetProblems } = observed
  const meta = targetMetas.get(name)
  if (meta === undefined || meta.isDeleting || targetProblems.has(name)) return []
  const content = targetContents.get(name)
  if (content === undefined) return [{ do: 'fetchTarget', reason, name }]
  if (content.immutable === true) return []
  const keys = ownKeys(observed, content)
  return keys.length === 0 ? [] : [{ do: 'releaseKeys', reason, was: objectVersionOf(content), keys }]
}

/** Warns of our keys in an immutable Secret: it cannot be changed, only deleted, and it is not ours to delete. */
export function warnOfKeysLeftBehind(observed: Observed, name: string): Action[] {
  const content = observed.targetContents.get(name)
  if (content?.immutable !== true) return []
  const keys = ownKeys(observed, content)
  if (keys.length === 0) return []
  const note = `Secret ${name} is immutable, so ${keys.join(', ')} cannot be removed from it; delete the Secret if it is no longer needed`
  const event = { type: 'Warning', reason: 'KeysLeftBehind', action: 'Sync', note } as const
  return [{ do: 'emitEvent', reason: 'KeysLeftBehind', event }]
}

function ownKeys(observed: Observed, content: Secret): string[] {
  const recorded = observed.record.get(content.metadata.name ?? '')
  return mergedKeys(content, recorded?.keys ?? [], mergeIdentityOf(observed))
}
