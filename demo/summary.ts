import type { Findings } from './referee.ts'
import { type Incident, inCalls } from './scenario.ts'

/** Everything that the demo is judged by. */
export interface Outcome {
  readonly durationMs: number
  readonly findings: Findings
  readonly targets: readonly TargetOutcome[]
  readonly applications: number
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

export interface TargetOutcome {
  readonly name: string
  readonly renewals: number
  /** Samples without a valid token. */
  readonly expired: number
}

/** Why the demo failed, in words; empty where it did not. */
export function failuresOf({ breakdowns, findings, incidents, isComplete, notReady, targets }: Outcome): string[] {
  const failures = [...breakdowns]
  if (findings.samples === 0) failures.push('the referee saw nothing')
  for (const { expired, name } of targets) {
    if (expired > 0) failures.push(`${name} held no valid token at ${expired} samples`)
  }
  if (findings.failedLooks > 0) failures.push(`the API server did not answer the referee ${findings.failedLooks} times`)
  for (const incident of incidents) {
    if (incident.kind === 'tampering' && incident.repairedAfterMs === undefined) {
      failures.push(`${incident.target} was not repaired (${incident.what})`)
    } else if (incident.kind === 'outage' && incident.recoveredAfterMs === undefined) {
      failures.push('tokens were not renewed after the outage')
    }
  }
  if (!isComplete) failures.push('not all faults came to their end')
  for (const resource of notReady) failures.push(`not Ready at the end: ${resource}`)
  return failures
}

export function renderSummary(outcome: Outcome): string {
  const { applications, durationMs, findings, gets, incidents, refreshes, targets } = outcome
  const { expired, leastHeadroomMs, maxGapMs, samples, tampered } = findings
  const renewals = targets.reduce((sum, target) => sum + target.renewals, 0)
  const headroom = Number.isFinite(leastHeadroomMs) ? `, each with ${seconds(leastHeadroomMs)} s or more left` : ''
  const failures = failuresOf(outcome)
  const excused = tampered === 0 ? '' : ` (and ${tampered} between a fault on a Secret and its repair)`
  return [
    `Summary of ${seconds(durationMs)} s`,
    `  samples       ${samples}, at most ${Math.round(maxGapMs)} ms between two looks at all Secrets`,
    `  expired       ${expired}${excused}`,
    `  renewals      ${renewals} on ${targets.length} Secrets${headroom}`,
    `  gateway       ${gets} get and ${refreshes} refresh for ${applications} applications`,
    ...incidents.map((incident) => `  ${incident.kind.padEnd(12)}  ${describe(incident)}`),
    '',
    ...(failures.length === 0
      ? [
          `PASSED: no Secret held an expired token at any sample${incidents.length === 0 ? '' : ', and all was repaired'}.`,
        ]
      : failures.map((failure) => `FAILED: ${failure}`)),
  ].join('\n')
}

function describe(incident: Incident): string {
  if (incident.kind === 'outage') {
    const { durationMs, recoveredAfterMs: ms } = incident
    return `${durationMs / 1000} s; ${ms === undefined ? 'NOT recovered' : `all renewed ${seconds(ms)} s after its end`}`
  }
  const { calls, repairedAfterMs: ms, target, what } = incident
  return `${target} ${what}; ${ms === undefined ? 'NOT repaired' : `repaired after ${Math.round(ms)} ms, ${inCalls(calls)}`}`
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1)
}
