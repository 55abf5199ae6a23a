import type { Problem } from '../api/v1alpha1/problem.ts'
import { joinNames } from '../lib/join-names.ts'
import { isContested, stayedAt } from './contest.ts'
import { isAsWritten } from './drifted-targets.ts'
import type { Observed, TargetSpec, TargetsView } from './observed.ts'

/** Why a target does not reliably hold the token that was written: another writer removes it, or admission altered it. */
export function disputeProblem(observed: Observed, now: number): Problem | undefined {
  const { targets } = observed.credential.spec
  const altered = targets.flatMap(({ name }) => {
    const keys = alteredTokenKeys(observed, name)
    return keys.length === 0 ? [] : [`${joinNames(keys)} of Secret ${name}`]
  })
  if (altered.length > 0) {
    const message = `spec.targets: the API server did not store ${joinNames(altered, '; ')} as written: an admission webhook or policy alters Secrets`
    return { class: 'userMustAct', reason: 'TargetAltered', message }
  }
  const contested = targets.filter((target) => isTokenContested(observed, target, now))
  return contested.length === 0
    ? undefined
    : { class: 'waiting', reason: 'TargetContested', message: contestMessage(observed, contested) }
}

/** The targets of the spec that another writer keeps changing or deleting. */
export function contestedTargets(
  { contests, credential }: Pick<TargetsView, 'credential'> & Pick<Observed, 'contests'>,
  now: number,
): TargetSpec[] {
  return credential.spec.targets.filter(({ name }) => isTargetContested({ contests }, name, now))
}

export function isTargetContested({ contests }: Pick<Observed, 'contests'>, name: string, now: number): boolean {
  const contest = contests.get(name)
  return contest !== undefined && isContested(contest, now)
}

/** Names the targets and their other writers; no counts and no times, so that it changes only with those. */
export function contestMessage({ contests }: Observed, contested: readonly TargetSpec[]): string {
  const names = contested.map(({ name }) => {
    const writer = contests.get(name)?.writer
    return writer === undefined ? name : `${name} (by ${writer})`
  })
  return `spec.targets: another writer keeps changing or deleting Secret ${joinNames(names)}; the operator corrects it ever less often, and writes a new token at once`
}

/** The keys with the token that admission altered. */
export function alteredTokenKeys({ alterations, templates }: Observed, name: string): readonly string[] {
  const withToken = templates.get(name)?.keysWithToken ?? []
  return (alterations.get(name)?.keys ?? []).filter((key) => withToken.includes(key))
}

/** True again only once the token has stayed on the target: otherwise Ready would flap with each correction. */
function isTokenContested(observed: Observed, target: TargetSpec, now: number): boolean {
  const contest = observed.contests.get(target.name)
  if (contest === undefined || !contest.isTokenLost || !isContested(contest, now)) return false
  return now < stayedAt(contest) || !isAsWritten(observed, target)
}
