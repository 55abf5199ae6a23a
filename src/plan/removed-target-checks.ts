import type { Problem } from '../api/v1alpha1/problem.ts'
import { maxRecordedTargets } from '../api/v1alpha1/status-schema.ts'
import { isTargetContested } from '../observe/disputed-targets.ts'
import type { Observed, TargetRecord } from '../observe/observed.ts'
import { isOurs } from '../observe/ownership.ts'
import type { Action } from './actions.ts'
import { releaseActions, warnOfKeysLeftBehind } from './merged-keys-release.ts'
import { actIfAny, type Verdict } from './verdict.ts'

/**
 * Prunes targets that left the spec, by what the status recorded of them and never by name or label alone; drops the
 * records of Secrets that are gone. Where removals fail, the oldest records beyond the bound of the status are dropped:
 * with more of them the API server would refuse every status.
 */
export function pruneRemovedTargets(observed: Observed, now: number): Verdict | undefined {
  const { credential, record, targetMetas } = observed
  const isWanted = (name: string): boolean => credential.spec.targets.some((target) => target.name === name)
  const actions: Action[] = []
  let excess = record.size - maxRecordedTargets
  for (const recorded of record.values()) {
    const { name, uid } = recorded
    const isGone = targetMetas.get(name)?.uid !== uid
    // The record of a target that another writer keeps deleting stays: the status would change with each deletion.
    const isKept = isGone && isWanted(name) && isTargetContested(observed, name, now)
    if (isGone && !isKept) actions.push({ do: 'forgetTarget', reason: 'Missing', name })
    else if (!isWanted(name)) actions.push(...removal(observed, recorded, excess-- > 0))
  }
  return actIfAny(actions)
}

function removal(observed: Observed, removed: TargetRecord, isExcess: boolean): Action[] {
  const reason = 'RemovedFromSpec'
  const { name } = removed
  const problem = observed.targetProblems.get(name)
  if (problem !== undefined) return isExcess ? leftBehind(name, problem) : []
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

function leftBehind(name: string, { message }: Problem): Action[] {
  const note = `${message}; the target left the spec, and with more than ${maxRecordedTargets} of them the operator forgets it: delete what it left`
  const event = { type: 'Warning', reason: 'TargetWriteFailed', action: 'Sync', note } as const
  return [
    { do: 'emitEvent', reason: 'TargetWriteFailed', event },
    { do: 'forgetTarget', reason: 'RemovedFromSpec', name },
  ]
}
