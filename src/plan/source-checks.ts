import { isDeepStrictEqual } from 'node:util'
import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import {
  type ObjectVersion,
  type Observed,
  tokenOnTargets,
  sourceRefs,
  type Sources,
  type SourceVersion,
} from '../observe/observed.ts'
import { stopWith, type Verdict } from './verdict.ts'

/** A list of ConfigMaps takes less; one that does not come is told. */
const configMapsQuietMs = 1000
/** While the targets hold a valid token, a list that takes longer, or fails and is tried again, is no news. */
const configMapsPatienceMs = 30_000

/** While ConfigMaps are not known, nothing can be told of one that is not among them. */
export function awaitConfigMaps(observed: Observed, now: number): Verdict | undefined {
  const { configMapsAwaitedSince: since, credential } = observed
  if (since === undefined) return undefined
  const expiresAt = tokenOnTargets(observed)?.expiresAt ?? now
  const quietUntil = now < expiresAt ? Math.min(since + configMapsPatienceMs, expiresAt) : since + configMapsQuietMs
  if (now < quietUntil) return { kind: 'wait', until: quietUntil }
  const { fields = [], name = '' } = sourceRefs(credential.spec).find(({ kind }) => kind === 'ConfigMap') ?? {}
  return stopWith(observed, {
    class: 'waiting',
    reason: 'WaitingForConfigMaps',
    message: `${fields.join(' and ')}: whether there is a ConfigMap ${name} is not known yet; may the operator list and watch ConfigMaps?`,
  })
}

export function fetchSources(observed: Observed): Verdict | undefined {
  const { credential, sourceMetas, sourceProblem, sources } = observed
  const present: SourceVersion[] = []
  for (const [at, { kind, name, fields, keys }] of sourceRefs(credential.spec).entries()) {
    const meta = sourceMetas[at]
    if (meta !== undefined) {
      present.push({ ...meta, keys })
      continue
    }
    return stopWith(observed, {
      class: 'userMustAct',
      reason: 'SourceSecretNotFound',
      message: `${fields.join(' and ')}: there is no ${kind} ${name} in namespace ${credential.namespace}`,
    })
  }
  if (sourceProblem !== undefined) return stopWith(observed, sourceProblem)
  if (sources !== undefined && isSameSources(sources.versions, present)) return undefined
  return { kind: 'do', actions: [{ do: 'fetchSources' }] }
}

export function rejectBrokenSources(observed: Observed): Verdict | undefined {
  const problem = observed.sources?.problem
  return problem === undefined ? undefined : stopWith(observed, problem)
}

/** The very values that were recorded: nobody touched the sources, and the spec names the same keys of them. */
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
