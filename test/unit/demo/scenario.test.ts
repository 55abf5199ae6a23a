import { describe, expect, it } from 'vitest'
import { type Incident, playScenario, type Stage } from '../../../demo/scenario.ts'
import { FakeClock } from '../../support/fake-clock.ts'

/** A world in which one token of 30 s is renewed with 15 s left, and a spoilt Secret is repaired after so long. */
function setUp({ repairMs, doesRecover = true }: { repairMs: number; doesRecover?: boolean }) {
  const clock = new FakeClock(0)
  const diary: string[] = []
  const incidents: Incident[] = []
  const excused = new Set<string>()
  let [bornAt, repairedAt, isOut, wasOut] = [0, 0, false, false]
  const attack = (what: string, target: string): Promise<void> => {
    diary.push(`${clock.now() / 1000} ${what} ${target}`)
    repairedAt = clock.now() + repairMs
    return Promise.resolve()
  }
  const stage: Stage = {
    overwrite: (target) => attack('overwrite', target),
    remove: (target) => attack('remove', target),
    isWhole: () => Promise.resolve(clock.now() >= repairedAt),
    setOutage: (out) => {
      diary.push(`${clock.now() / 1000} gateway ${out ? 'gone' : 'back'}`)
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
    tell: () => undefined,
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
  it('overwrites, takes the gateway away over a renewal, deletes meanwhile and after', async () => {
    const { clock, diary, excused, incidents, options } = setUp({ repairMs: 20 })
    const played = playScenario(options, new AbortController().signal)
    await clock.advance(60_000)
    await played
    const kinds = diary.map((line) => line.replace(/^\S+ /, ''))
    expect(kinds).toEqual(['overwrite one', 'gateway gone', 'remove two', 'gateway back', 'remove three'])
    expect(diary[0]).toBe('9 overwrite one')
    expect(diary.at(-1)).toBe('48 remove three')
    expect(incidents).toEqual([
      { kind: 'tampering', target: 'one', what: 'overwritten by hand', repairedAfterMs: 20, calls: 0 },
      { kind: 'tampering', target: 'two', what: 'deleted by hand during the outage', repairedAfterMs: 20, calls: 0 },
      { kind: 'outage', durationMs: 6000, recoveredAfterMs: 0 },
      { kind: 'tampering', target: 'three', what: 'deleted by hand', repairedAfterMs: 20, calls: 0 },
    ])
    expect(excused.size).toBe(0)
  })

  it('the gateway is away when the renewal is due', async () => {
    const { clock, diary, options } = setUp({ repairMs: 20 })
    const played = playScenario(options, new AbortController().signal)
    await clock.advance(60_000)
    await played
    const at = (what: string): number => Number(diary.find((line) => line.endsWith(what))?.split(' ')[0])
    const dueAt = 30
    expect(at('gateway gone')).toBeLessThan(dueAt)
    expect(at('gateway back')).toBeGreaterThan(dueAt)
  })

  it('reports what is not repaired and not renewed, and goes on', async () => {
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

  it('ends when it is told to', async () => {
    const { clock, incidents, options } = setUp({ repairMs: 20 })
    const stop = new AbortController()
    const played = playScenario(options, stop.signal)
    await clock.advance(1000)
    stop.abort(new Error('enough'))
    await expect(played).rejects.toThrow('enough')
    expect(incidents).toEqual([])
  })
})
