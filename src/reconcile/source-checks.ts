import { type Observed, type ObjectVersion, isProblem, sourceRefs } from './observed.ts'
import { stopWith, type Verdict } from './verdict.ts'

/** A list of ConfigMaps takes less; one that does not come is told. */
const configMapsQuietMs = 1000

/** While ConfigMaps are not known, nothing can be told of one that is not among them. */
export function isAwaitingConfigMaps(observed: Observed, now: number): Verdict | undefined {
  const { configMapsAwaitedSince: since, credential } = observed
  if (since === undefined) return undefined
  if (now < since + configMapsQuietMs) return { kind: 'wait', until: since + configMapsQuietMs }
  const { fields = [], name = '' } = sourceRefs(credential.spec).find(({ kind }) => kind === 'ConfigMap') ?? {}
  return stopWith(observed, {
    class: 'waiting',
    reason: 'WaitingForConfigMaps',
    message: `${fields.join(' and ')}: whether there is a ConfigMap ${name} is not known yet; may the operator list and watch ConfigMaps?`,
  })
}

export function hasUnreadSources(observed: Observed): Verdict | undefined {
  const { credential, sourceMetas, sourceProblem, sources } = observed
  for (const [at, { kind, name, fields }] of sourceRefs(credential.spec).entries()) {
    if (sourceMetas[at] !== undefined) continue
    return stopWith(observed, {
      class: 'userMustAct',
      reason: 'SourceSecretNotFound',
      message: `${fields.join(' and ')}: there is no ${kind} ${name} in namespace ${credential.namespace}`,
    })
  }
  if (sourceProblem !== undefined) return stopWith(observed, sourceProblem)
  if (sources !== undefined && isSameVersions(sources.versions, sourceMetas)) return undefined
  return { kind: 'do', actions: [{ do: 'readSources' }] }
}

export function hasBrokenSources(observed: Observed): Verdict | undefined {
  const values = observed.sources?.values
  return values !== undefined && isProblem(values) ? stopWith(observed, values) : undefined
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
