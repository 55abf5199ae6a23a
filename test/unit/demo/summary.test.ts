import { describe, expect, it } from 'vitest'
import type { Incident } from '../../../demo/scenario.ts'
import { failuresOf, type Outcome, renderSummary } from '../../../demo/summary.ts'

const tampering = {
  kind: 'tampering',
  target: 'wind-farm-token',
  action: 'overwritten by hand',
  repairedAfterMs: 22.4,
  calls: 0,
} as const
const outage = { kind: 'outage', durationMs: 6000, recoveredAfterMs: 640 } as const

const good: Outcome = {
  durationMs: 60_000,
  findings: {
    samples: 900,
    expired: 0,
    tampered: 0,
    failedRounds: 0,
    maxGapMs: 212.7,
    minHeadroomMs: 12_100,
  },
  targets: [
    { name: 'wind-farm-token', renewals: 3, expired: 0 },
    { name: 'solar-farm-token', renewals: 4, expired: 0 },
  ],
  applications: 2,
  gets: 9,
  refreshes: 7,
  incidents: [tampering, outage],
  omittedIncidents: 0,
  isComplete: true,
  notReady: [],
  abortReasons: [],
}

describe('the summary of the demo', () => {
  it('shows samples, renewals, calls and faults in a few lines', () => {
    expect(renderSummary(good).split('\n')).toEqual([
      'Summary of 60.0 s',
      '  samples       900, all Secrets at least every 213 ms',
      '  expired       0',
      '  renewals      7 on 2 Secrets, each with 12.1 s or more left',
      '  gateway       9 get and 7 refresh for 2 applications',
      '  tampering     wind-farm-token overwritten by hand; repaired after 22 ms, without a call to the gateway',
      '  outage        6 s; all renewed 0.6 s after its end',
      '',
      'PASSED: no Secret held an expired token at any sample, and all was repaired.',
    ])
    expect(failuresOf(good)).toEqual([])
  })

  it('counts incidents that are left out', () => {
    expect(renderSummary({ ...good, omittedIncidents: 44 })).toContain('\n  earlier       44 more faults\n')
  })

  const incident = (changed: Incident): Partial<Outcome> => ({ incidents: [changed] })
  const findings = (changed: Partial<Outcome['findings']>): Partial<Outcome> => ({
    findings: { ...good.findings, ...changed },
  })
  it.each<[string, Partial<Outcome>]>([
    ['the referee took no sample', findings({ samples: 0 })],
    ['the API server did not answer the referee 2 times', findings({ failedRounds: 2 })],
    [
      'wind-farm-token held no valid token at 3 samples',
      { targets: [{ name: 'wind-farm-token', renewals: 1, expired: 3 }] },
    ],
    ['wind-farm-token was not repaired (overwritten by hand)', incident({ ...tampering, repairedAfterMs: undefined })],
    ['tokens were not renewed after the outage', incident({ ...outage, recoveredAfterMs: undefined })],
    ['not all faults were played to their end', { isComplete: false }],
    ['not Ready at the end: wind-farm (Unknown)', { notReady: ['wind-farm (Unknown)'] }],
    ['the operator exited with 1', { abortReasons: ['the operator exited with 1'] }],
  ])('reports the failure: %s', (failure, changed) => {
    const outcome = { ...good, ...changed }
    expect(failuresOf(outcome)).toEqual([failure])
    expect(renderSummary(outcome)).toContain(`FAILED: ${failure}`)
    expect(renderSummary(outcome)).not.toContain('PASSED')
  })
})
