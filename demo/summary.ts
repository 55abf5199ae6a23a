import type { Findings } from './referee.ts'
import { describeCalls, type Incident } from './scenario.ts'

/** The result of the demo. */
export interface Outcome {
  readonly durationMs: number
  readonly findings: Findings
  readonly targets: readonly TargetOutcome[]
  readonly applications: number
  readonly gets: number
  readonly refreshes: number
  readonly incidents: readonly Incident[]
  /** Number of further incidents, which are left out of the summary. */
  readonly omittedIncidents: number
  /** Whether all planned faults were played to their end. */
  readonly isComplete: boolean
  /** Resources that are not Ready at the end, each with its reason. */
  readonly notReady: readonly string[]
  /** Why the demo was aborted, for example by an operator that exited. */
  readonly abortReasons: readonly string[]
}

export interface TargetOutcome {
  readonly name: string
  readonly renewals: number
  /** Samples without a valid token. */
  readonly expired: number
}

/** Why the demo failed, as sentences; empty when the demo passed. */
export function failuresOf({ abortReasons, findings, incidents, isComplete, notReady, targets }: Outcome): string[] {
  const failures = [...abortReasons]
  if (findings.samples === 0) failures.push('the referee took no sample')
  for (const { expired, name } of targets) {
    if (expired > 0) failures.push(`${name} held no valid token at ${expired} samples`)
  }
  if (findings.failedRounds > 0) {
    failures.push(`the API server did not answer the referee ${findings.failedRounds} times`)
  }
  for (const incident of incidents) {
    if (incident.kind === 'tampering' && incident.repairedAfterMs === undefined) {
      failures.push(`${incident.target} was not repaired (${incident.action})`)
    } else if (incident.kind === 'outage' && incident.recoveredAfterMs === undefined) {
      failures.push('tokens were not renewed after the outage')
    }
  }
  if (!isComplete) failures.push('not all faults were played to their end')
  for (const resource of notReady) failures.push(`not Ready at the end: ${resource}`)
  return failures
}

export function renderSummary(outcome: Outcome): string {
  const { applications, durationMs, findings, gets, incidents, omittedIncidents, refreshes, targets } = outcome
  const { expired, minHeadroomMs, maxGapMs, samples, tampered } = findings
  const renewals = targets.reduce((sum, target) => sum + target.renewals, 0)
  const headroom = Number.isFinite(minHeadroomMs) ? `, each with ${seconds(minHeadroomMs)} s or more left` : ''
  const failures = failuresOf(outcome)
  const excused = tampered === 0 ? '' : ` (and ${tampered} between damage by the demo and its repair)`
  return [
    `Summary of ${seconds(durationMs)} s`,
    `  samples       ${samples}, all Secrets at least every ${Math.round(maxGapMs)} ms`,
    `  expired       ${expired}${excused}`,
    `  renewals      ${renewals} on ${targets.length} Secrets${headroom}`,
    `  gateway       ${gets} get and ${refreshes} refresh for ${applications} applications`,
    ...(omittedIncidents === 0 ? [] : [`  earlier       ${omittedIncidents} more faults`]),
    ...incidents.map((incident) => `  ${incident.kind.padEnd(12)}  ${describeIncident(incident)}`),
    '',
    ...(failures.length === 0
      ? [
          `PASSED: no Secret held an expired token at any sample${incidents.length === 0 ? '' : ', and all was repaired'}.`,
        ]
      : failures.map((failure) => `FAILED: ${failure}`)),
  ].join('\n')
}

function describeIncident(incident: Incident): string {
  if (incident.kind === 'outage') {
    const { durationMs, recoveredAfterMs: ms } = incident
    return `${durationMs / 1000} s; ${ms === undefined ? 'NOT renewed' : `all renewed ${seconds(ms)} s after its end`}`
  }
  const { action, calls, repairedAfterMs: ms, target } = incident
  return `${target} ${action}; ${ms === undefined ? 'NOT repaired' : `repaired after ${Math.round(ms)} ms, ${describeCalls(calls)}`}`
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1)
}
