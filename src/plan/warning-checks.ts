import type { Reason } from '../api/v1alpha1/reasons.ts'
import { isWriterSettled } from '../observe/contest.ts'
import { alteredTokenKeys, contestedTargets, contestMessage } from '../observe/disputed-targets.ts'
import type { Observed } from '../observe/observed.ts'
import { secretsNamed, targetsWithoutToken, unusedTokenProblem } from '../observe/token-use.ts'
import type { EventInput } from '../status/events.ts'
import { act, type Verdict } from './verdict.ts'

/** One event for the Secrets that were adopted in this pass. */
export function emitAdoptionEvents({ adoptions, notes }: Observed): Verdict | undefined {
  if (adoptions.size === 0) return undefined
  return emitOnce({ notes }, { type: 'Normal', reason: 'TargetAdopted', note: [...adoptions.values()].join('; ') })
}

/** One event for each contest, also where only labels or other keys are contested and Ready stays True. */
export function warnOfContestedTargets(observed: Observed, now: number): Verdict | undefined {
  const contested = contestedTargets(observed, now).filter(({ name }) => {
    const contest = observed.contests.get(name)
    return contest !== undefined && isWriterSettled(contest)
  })
  return contested.length === 0 ? undefined : warnOnce(observed, 'TargetContested', contestMessage(observed, contested))
}

/** One event for each alteration by admission; where it hits the token, the condition reports it. */
export function warnOfAlteredTargets(observed: Observed): Verdict | undefined {
  const altered = observed.credential.spec.targets.flatMap(({ name }) => {
    const parts = alteredParts(observed, name)
    return parts.length === 0 || alteredTokenKeys(observed, name).length > 0
      ? []
      : [`Secret ${name} (${parts.join(', ')})`]
  })
  if (altered.length === 0) return undefined
  const note = `spec.targets: an admission webhook or policy altered what the operator wrote: ${altered.slice(0, 5).join('; ')}`
  return warnOnce(observed, 'TargetAltered', note)
}

/** One event for targets that hold no token beside others that do; where none does, the condition reports it. */
export function warnOfTargetsWithoutToken(observed: Observed): Verdict | undefined {
  const names = targetsWithoutToken(observed)
  if (names.length === 0 || unusedTokenProblem(observed) !== undefined) return undefined
  const note = `spec.targets: no template of ${secretsNamed(names)} uses accessToken, so there is no token in ${names.length === 1 ? 'it' : 'them'}`
  return warnOnce(observed, 'TokenNotUsed', note)
}

function alteredParts({ alterations }: Observed, name: string): string[] {
  const alteration = alterations.get(name)
  if (alteration === undefined) return []
  const { addedKeys, annotations, isImmutable, keys, labels, type } = alteration
  // Pods never see a renewal of an immutable Secret: the kubelet does not watch those.
  const immutable = isImmutable ? ['immutable: running pods do not see its renewals'] : []
  const named = [...keys, ...addedKeys, ...labels, ...annotations].slice(0, 5)
  return [...immutable, ...(type === undefined ? [] : ['type']), ...named]
}

function warnOnce(observed: Observed, reason: Reason, note: string): Verdict | undefined {
  return emitOnce(observed, { type: 'Warning', reason, note })
}

function emitOnce(
  { notes }: Pick<Observed, 'notes'>,
  event: { readonly type: EventInput['type']; readonly reason: Reason; readonly note: string },
): Verdict | undefined {
  const { note, reason } = event
  return notes.get(reason) === note ? undefined : act({ do: 'emitEvent', reason, event: { ...event, action: 'Sync' } })
}
