import type { Findings } from './referee.ts'
import type { Incident } from './scenario.ts'

/** Everything that the demo is judged by. */
export interface Outcome {
  readonly findings: Findings
  readonly renewals: number
  readonly gets: number
  readonly refreshes: number
  readonly incidents: readonly Incident[]
  /** The faults that were planned all came to their end. */
  readonly isComplete: boolean
  /** Resources that are not Ready at the end, each with its reason. */
  readonly notReady: readonly string[]
  /** What broke the demo itself, such as an operator that ended. */
  readonly breakdowns: readonly string[]
}

/** Why the demo failed, in words; empty where it did not. */
export function failuresOf({ breakdowns, findings, incidents, isComplete, notReady }: Outcome): string[] {
  const failures = [...breakdowns]
  if (findings.samples === 0) failures.push('the referee saw nothing')
  if (findings.expired > 0) failures.push(`${findings.expired} samples showed a target without a valid token`)
  if (findings.failedLooks > 0) failures.push(`the referee could not look ${findings.failedLooks} times`)
  for (const incident of incidents) {
    if (incident.kind === 'tampering' && incident.repairedAfterMs === undefined) {
      failures.push(`${incident.target} was not repaired`)
    } else if (incident.kind === 'outage' && incident.recoveredAfterMs === undefined) {
      failures.push('tokens were not renewed after the outage')
    }
  }
  if (!isComplete) failures.push('not all faults were tried')
  for (const resource of notReady) failures.push(`not Ready at the end: ${resource}`)
  return failures
}

export function renderSummary(outcome: Outcome): string {
  const { findings, gets, incidents, refreshes, renewals } = outcome
  const repairs = incidents.flatMap((incident) =>
    incident.kind === 'tampering' && incident.repairedAfterMs !== undefined ? [incident.repairedAfterMs] : [],
  )
  const tamperings = incidents.filter(({ kind }) => kind === 'tampering').length
  const outages = incidents.filter((incident) => incident.kind === 'outage')
  const failures = failuresOf(outcome)
  const longest = repairs.length === 0 ? '' : `, the longest after ${Math.round(Math.max(...repairs))} ms`
  return [
    'Summary',
    `  samples         ${findings.samples}, with at most ${Math.round(findings.longestGapMs)} ms between two looks`,
    `  expired         ${findings.expired}`,
    `  while tampered  ${findings.tampered}`,
    `  renewals        ${renewals}, over all targets`,
    `  gateway calls   ${gets} get, ${refreshes} refresh`,
    `  repairs         ${repairs.length} of ${tamperings}${longest}`,
    ...outages.map(
      ({ durationMs, recoveredAfterMs }) =>
        `  outage          ${durationMs / 1000} s, ` +
        (recoveredAfterMs === undefined
          ? 'not recovered'
          : `recovered ${(recoveredAfterMs / 1000).toFixed(1)} s after its end`),
    ),
    '',
    ...(failures.length === 0
      ? ['No target was expired at any sample, and everything is repaired and Ready.']
      : failures.map((failure) => `FAILED: ${failure}`)),
  ].join('\n')
}
