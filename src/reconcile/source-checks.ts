import { type Observed, type ObjectVersion, isProblem, sourceRefs } from './observed.ts'
import { stopWith, type Verdict } from './verdict.ts'

export function hasUnreadSources(observed: Observed): Verdict | undefined {
  const { credential, sourceMetas, sources } = observed
  for (const [at, { kind, name, fields }] of sourceRefs(credential.spec).entries()) {
    if (sourceMetas[at] !== undefined) continue
    return stopWith(observed, {
      class: 'userMustAct',
      reason: 'SourceSecretNotFound',
      message: `${fields.join(' and ')}: there is no ${kind} ${name} in namespace ${credential.namespace}`,
    })
  }
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
