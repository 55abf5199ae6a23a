import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { alerts } from '../../../monitoring/rules.ts'
import { describeWith, findProgram } from '../../monitoring/promtool.ts'
import { promtoolOnly } from '../../monitoring/promtool-only.ts'
import {
  fires,
  lifetimes,
  momentsOf,
  playScenarios,
  playTests,
  scenariosOf,
  styles,
} from '../../monitoring/promtool-tests.ts'
import { twoExportersTest } from '../../monitoring/two-exporters.ts'

describe('the scenarios', () => {
  it.each(lifetimes)(
    'have for each alert a moment before, one while and one after it fires; lifetime %d s',
    (lifetime) => {
      const seen = new Set<string>()
      for (const scenario of scenariosOf(lifetime)) {
        const moments = momentsOf(scenario)
        for (const firing of scenario.firings) {
          const isFiring = moments.map((at) => fires(firing, at))
          const first = isFiring.indexOf(true)
          if (first > 0 && isFiring.lastIndexOf(true) < moments.length - 1) seen.add(firing.alert)
        }
      }
      expect([...seen].toSorted()).toEqual(alerts.map(({ name }) => name).toSorted())
    },
  )
})

describe('the tests with a real Prometheus', () => {
  it('expect each alert, but those that no fault brings about within minutes', async () => {
    const read = async (name: string): Promise<string> =>
      await readFile(new URL(`../../monitoring/${name}.test.ts`, import.meta.url), 'utf8')
    const expected = `${await read('faults')}${await read('api-server')}${await read('restarts')}`.match(
      /\bEnos(?:Credential|Gateway|Operator)\w+/g,
    )
    const others = Object.keys(promtoolOnly)
    expect([...new Set(expected), ...others].toSorted()).toEqual(alerts.map(({ name }) => name).toSorted())
  })
})

const promtool = findProgram('promtool', 'PROMTOOL')

// The other lifetimes and styles take minutes: test/monitoring/alerts.test.ts.
describeWith([promtool], 'the alerts, by promtool', () => {
  it('fire exactly when they should, with tokens of 2 h', { timeout: 240_000 }, async () => {
    expect(await playScenarios(promtool ?? 'promtool', 7200, 'exported_namespace')).toBe('')
  })

  it('say why, and the dashboard counts each credential once, while two replicas export them', async () => {
    expect(await playTests(promtool ?? 'promtool', styles.map(twoExportersTest))).toBe('')
  })
})
