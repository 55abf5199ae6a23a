import { isDeepStrictEqual } from 'node:util'
import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import { joinNames } from '../lib/join-names.ts'
import {
  type ObjectVersion,
  type Observed,
  type SourceRef,
  type Sources,
  type SourceVersion,
  tokenOnTargets,
} from '../observe/observed.ts'
import { act, stopAt, type Verdict } from './verdict.ts'

/** A list of ConfigMaps takes less; a later one is reported. */
const configMapsQuietMs = 1000
/** While the targets hold a valid token, a slow or retried list is not worth a report for this long. */
const configMapsPatienceMs = 30_000

/** Until ConfigMaps are synced, a missing one cannot be told from an unknown one. */
export function awaitConfigMaps(observed: Observed, now: number): Verdict | undefined {
  const { configMapsAwaitedSince: since, sourceRefs } = observed
  if (since === undefined) return undefined
  const expiresAt = tokenOnTargets(observed)?.expiresAt ?? now
  const quietUntil = now < expiresAt ? Math.min(since + configMapsPatienceMs, expiresAt) : since + configMapsQuietMs
  if (now < quietUntil) return { kind: 'wait', reason: 'ConfigMapsNotSynced', until: quietUntil }
  const { fields = [], name = '' } = sourceRefs.find(({ kind }) => kind === 'ConfigMap') ?? {}
  return stopAt(observed, {
    class: 'waiting',
    reason: 'WaitingForConfigMaps',
    message: `${fields.join(' and ')}: ConfigMaps are not synced yet, so ConfigMap ${name} cannot be found; check that the operator may list and watch ConfigMaps`,
  })
}

export function fetchSources(observed: Observed): Verdict | undefined {
  const { credential, sourceMetas, sourceProblem, sourceRefs, sources } = observed
  const present: SourceVersion[] = []
  const missing: SourceRef[] = []
  for (const [at, ref] of sourceRefs.entries()) {
    const meta = sourceMetas[at]
    if (meta === undefined) missing.push(ref)
    else present.push({ ...meta, keys: ref.keys })
  }
  if (missing.length > 0) {
    const what = missing.map(({ fields, kind, name }) => `${fields.join(' and ')}: ${kind} ${name} does not exist`)
    const message = `${joinNames(what, '; ')} in namespace ${credential.namespace}`
    return stopAt(observed, { class: 'userMustAct', reason: 'SourceSecretNotFound', message })
  }
  if (sourceProblem !== undefined) return stopAt(observed, sourceProblem)
  if (sources !== undefined && isSameSources(sources.versions, present)) return undefined
  return act({ do: 'fetchSources', reason: sources === undefined ? 'SourcesNotInMemory' : 'SourceChanged' })
}

export function warnOfTrimmedSources({ notes, sources }: Observed): Verdict | undefined {
  const { trimmed = [] } = sources ?? {}
  const note = `${trimmed.join(' and ')}: trailing newlines were trimmed`
  if (trimmed.length === 0 || notes.get('SourceTrimmed') === note) return undefined
  const event = { type: 'Warning', reason: 'SourceTrimmed', action: 'ReadSources', note } as const
  return act({ do: 'emitEvent', reason: 'SourceTrimmed', event })
}

export function rejectBrokenSources(observed: Observed): Verdict | undefined {
  const problem = observed.sources?.problem
  return problem === undefined ? undefined : stopAt(observed, problem)
}

/** The sources have the recorded versions, and the spec names the same keys of them. */
export function isSameSources(
  recorded: CredentialStatus['sources'] | Sources['versions'],
  present: readonly SourceVersion[],
): boolean {
  const keysOf = (uid: string): readonly string[] | undefined => recorded.find((then) => then.uid === uid)?.keys
  return isSameVersions(recorded, present) && present.every(({ keys, uid }) => isDeepStrictEqual(keysOf(uid), keys))
}

export function isSameVersions(
  recorded: readonly ObjectVersion[],
  present: readonly (ObjectVersion | undefined)[],
): boolean {
  return (
    recorded.length === present.length &&
    present.every((now) =>
      recorded.some(
        (then) => then.name === now?.name && then.uid === now.uid && then.resourceVersion === now.resourceVersion,
      ),
    )
  )
}
