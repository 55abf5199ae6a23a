import { describe, expect, it } from 'vitest'
import { type Incident, playScenario, type Stage } from '../../../demo/scenario.ts'
import { FakeClock } from '../../support/fake-clock.ts'

/** A world in which one token of 30 s is renewed with 15 s left, and a damaged Secret is repaired after `repairMs`. */
function setUp({ repairMs, doesRecover = true }: { repairMs: number; doesRecover?: boolean }) {
  const clock = new FakeClock(0)
  const diary: string[] = []
  const incidents: Incident[] = []
  const excused = new Set<string>()
  let [bornAt, repairedAt, isOut, wasOut] = [0, 0, false, false]
  const damage = (action: string, target: string): Promise<void> => {
    diary.push(`${clock.now() / 1000} ${action} ${target}`)
    repairedAt = clock.now() + repairMs
    return Promise.resolve()
  }
  const stage: Stage = {
    overwrite: (target) => damage('overwrite', target),
    remove: (target) => damage('remove', target),
    isWhole: () => Promise.resolve(clock.now() >= repairedAt),
    setOutage: (out) => {
      diary.push(`${clock.now() / 1000} gateway ${out ? 'down' : 'up'}`)
      isOut = out
      wasOut ||= out
      return Promise.resolve()
    },
    minLifeMs: () => {
      const isDue = clock.now() - bornAt >= 15_000
      if (isDue && !isOut && (doesRecover || !wasOut)) bornAt = clock.now()
      return Math.max(0, bornAt + 30_000 - clock.now())
    },
    calls: () => 0,
    excuse: (target) => excused.add(target),
    endExcuse: (target) => excused.delete(target),
    log: () => undefined,
  }
  const options = {
    clock,
    stage,
    durationMs: 60_000,
    renewalWindowMs: 15_000,
    victims: ['one', 'two', 'three'] as const,
    onIncident: (incident: Incident) => incidents.push(incident),
  }
  return { clock, diary, excused, incidents, options }
}

describe('the scenario of the demo', () => {
  it('overwrites a target, then plays an outage over a renewal, and deletes targets during and after the outage', async () => {
    const { clock, diary, excused, incidents, options } = setUp({ repairMs: 20 })
    const played = playScenario(options, new AbortController().signal)
    await clock.advance(60_000)
    await played
    const kinds = diary.map((line) => line.replace(/^\S+ /, ''))
    expect(kinds).toEqual(['overwrite one', 'gateway down', 'remove two', 'gateway up', 'remove three'])
    expect(diary[0]).toBe('9 overwrite one')
    expect(diary.at(-1)).toBe('48 remove three')
    expect(incidents).toEqual([
      { kind: 'tampering', target: 'one', action: 'overwritten by hand', repairedAfterMs: 20, calls: 0 },
      { kind: 'tampering', target: 'two', action: 'deleted by hand during the outage', repairedAfterMs: 20, calls: 0 },
      { kind: 'outage', durationMs: 6000, recoveredAfterMs: 0 },
      { kind: 'tampering', target: 'three', action: 'deleted by hand', repairedAfterMs: 20, calls: 0 },
    ])
    expect(excused.size).toBe(0)
  })

  it('plays the outage when a renewal is due', async () => {
    const { clock, diary, options } = setUp({ repairMs: 20 })
    const played = playScenario(options, new AbortController().signal)
    await clock.advance(60_000)
    await played
    const at = (action: string): number => Number(diary.find((line) => line.endsWith(action))?.split(' ')[0])
    const dueAt = 30
    expect(at('gateway down')).toBeLessThan(dueAt)
    expect(at('gateway up')).toBeGreaterThan(dueAt)
  })

  it('reports missing repairs and renewals, and continues', async () => {
    const { clock, excused, incidents, options } = setUp({ repairMs: 1e9, doesRecover: false })
    const played = playScenario(options, new AbortController().signal)
    await clock.advance(90_000)
    await played
    expect(incidents).toHaveLength(4)
    for (const incident of incidents) {
      expect(incident.kind === 'outage' ? incident.recoveredAfterMs : incident.repairedAfterMs).toBeUndefined()
    }
    expect(excused.size).toBe(0)
  })

  it('rejects when the signal aborts', async () => {
    const { clock, incidents, options } = setUp({ repairMs: 20 })
    const stop = new AbortController()
    const played = playScenario(options, stop.signal)
    await clock.advance(1000)
    stop.abort(new Error('enough'))
    await expect(played).rejects.toThrow('enough')
    expect(incidents).toEqual([])
  })
})
