import type { Observed, TargetRecord } from '../observe/observed.ts'
import { isOurs } from '../observe/ownership.ts'
import type { Action } from './actions.ts'
import { leavingActions, releaseActions } from './merged-keys-release.ts'
import type { Verdict } from './verdict.ts'

/**
 * Targets that the user took out of the spec, by what was recorded of them and never by name or label alone; and records
 * of Secrets that are gone.
 */
export function pruneRemovedTargets(observed: Observed): Verdict | undefined {
  const { credential, record, targetMetas } = observed
  const wanted = new Set(credential.spec.targets.map((target) => target.name))
  const actions: Action[] = []
  for (const former of record.values()) {
    const isGone = targetMetas.get(former.name)?.uid !== former.uid
    if (isGone) actions.push({ do: 'forgetTarget', name: former.name })
    else if (!wanted.has(former.name)) actions.push(...removal(observed, former))
  }
  return actions.length === 0 ? undefined : { kind: 'do', actions }
}

function removal(observed: Observed, former: TargetRecord): Action[] {
  const { name } = former
  if (observed.targetProblems.has(name)) return []
  const meta = observed.targetMetas.get(name)
  if (meta !== undefined && former.deletionPolicy === 'Delete') {
    if (former.creationPolicy === 'Merge') {
      const release = releaseActions(observed, name)
      if (release.length > 0) return release
      return [...leavingActions(observed, name), { do: 'forgetTarget', name }]
    } else if (isOurs(observed, meta)) {
      const { uid, resourceVersion } = meta
      return [{ do: 'deleteTarget', was: { name, uid, resourceVersion } }]
    }
  }
  return [{ do: 'forgetTarget', name }]
}
