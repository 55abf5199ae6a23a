import { fingerprintOf } from '../enos/signature.ts'
import { readData } from '../targets/desired-secret.ts'
import { isProblem, type Observed, publishedToken, type TargetSpec } from './observed.ts'
import { isStillTarget } from './target-checks.ts'

/**
 * Targets that somebody changed, of which nothing is known but that. Where the token is at hand they are put right
 * without more ado; where it is not (after a restart, with a gateway that is down, say), whether they still hold it
 * decides whether the resource is Ready.
 */
export function unreadAlteredTargets(observed: Observed): string[] {
  if (observed.credential.spec.suspend || publishedToken(observed) === undefined) return []
  return observed.credential.spec.targets
    .filter((target) => isStillTarget(observed, target.name) && !isAsWritten(observed, target))
    .map(({ name }) => name)
    .filter((name) => !observed.targetContents.has(name))
}

/** The first target that does not hold what was written, as far as is known. */
export function firstAlteredTarget(observed: Observed): string | undefined {
  const altered = observed.credential.spec.targets.find(
    (target) => !isAsWritten(observed, target) && !holdsRecordedToken(observed, target),
  )
  return altered?.name
}

/** The target is still what was written: a write that failed took nothing away. */
function isAsWritten({ record, targetMetas }: Observed, { name }: TargetSpec): boolean {
  const recorded = record.get(name)
  const meta = targetMetas.get(name)
  return recorded?.uid === meta?.uid && recorded?.resourceVersion === meta?.resourceVersion
}

/** Something else was changed on it: a label, somebody else's key. */
function holdsRecordedToken({ record, targetContents, templates }: Observed, { name }: TargetSpec): boolean {
  const content = targetContents.get(name)
  const key = isProblem(templates) ? undefined : templates.get(name)?.tokenKey
  const token = content === undefined || key === undefined ? undefined : readData(content, key)
  return token !== undefined && fingerprintOf(token) === record.get(name)?.token?.fingerprint
}
