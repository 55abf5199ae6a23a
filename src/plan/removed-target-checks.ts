import { isTargetContested } from '../observe/disputed-targets.ts'
import type { Observed, TargetRecord } from '../observe/observed.ts'
import { isOurs } from '../observe/ownership.ts'
import type { Action } from './actions.ts'
import { releaseActions, warnOfKeysLeftBehind } from './merged-keys-release.ts'
import { actIfAny, type Verdict } from './verdict.ts'

/**
 * Prunes targets that left the spec, by what the status recorded of them and never by name or label alone; drops the
 * records of Secrets that are gone.
 */
export function pruneRemovedTargets(observed: Observed, now: number): Verdict | undefined {
  const { credential, record, targetMetas } = observed
  const wanted = new Set(credential.spec.targets.map((target) => target.name))
  const actions: Action[] = []
  for (const recorded of record.values()) {
    const { name, uid } = recorded
    const isGone = targetMetas.get(name)?.uid !== uid
    // The record of a target that another writer keeps deleting stays: the status would change with each deletion.
    const isKept = isGone && wanted.has(name) && isTargetContested(observed, name, now)
    if (isGone && !isKept) actions.push({ do: 'forgetTarget', reason: 'Missing', name })
    else if (!wanted.has(name)) actions.push(...removal(observed, recorded))
  }
  return actIfAny(actions)
}

function removal(observed: Observed, removed: TargetRecord): Action[] {
  const reason = 'RemovedFromSpec'
  const { name } = removed
  if (observed.targetProblems.has(name)) return []
  const meta = observed.targetMetas.get(name)
  if (meta !== undefined && removed.deletionPolicy === 'Delete') {
    if (removed.creationPolicy === 'Merge') {
      const release = releaseActions(observed, name, reason)
      if (release.length > 0) return release
      return [...warnOfKeysLeftBehind(observed, name), { do: 'forgetTarget', reason, name }]
    } else if (isOurs(observed, meta)) {
      const { uid, resourceVersion } = meta
      return [{ do: 'deleteTarget', reason, was: { name, uid, resourceVersion } }]
    }
  }
  return [{ do: 'forgetTarget', reason, name }]
}
