import { describe, expect, it } from 'vitest'
import { History, IncidentHistory } from '../../../demo/history.ts'
import type { Incident } from '../../../demo/scenario.ts'

const outage = (recoveredAfterMs: number | undefined): Incident => ({ kind: 'outage', durationMs: 1, recoveredAfterMs })

describe('History', () => {
  it('keeps the last items up to its limit and counts all', () => {
    const history = new History<number>(3)
    for (const item of [1, 2, 3, 4, 5]) history.add(item)
    expect([history.items, history.total]).toEqual([[3, 4, 5], 5])
  })
})

describe('IncidentHistory', () => {
  it('leaves out the oldest repaired incident at its limit, and counts those left out', () => {
    const history = new IncidentHistory(2)
    for (const ms of [undefined, 1, 2]) history.add(outage(ms))
    expect([history.incidents, history.omitted]).toEqual([[outage(undefined), outage(2)], 1])
  })

  it('holds no more than its limit of incidents without repair', () => {
    const history = new IncidentHistory(2)
    for (let count = 0; count < 5; count++) history.add(outage(undefined))
    expect([history.incidents.length, history.omitted]).toEqual([2, 3])
  })
})
