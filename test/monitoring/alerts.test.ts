import { expect, it } from 'vitest'
import { describeWith, findProgram } from './promtool.ts'
import { lifetimes, playScenarios, styles } from './promtool-tests.ts'

const promtool = findProgram('promtool', 'PROMTOOL')

describeWith([promtool], 'the alerts, by promtool', () => {
  const cases = lifetimes.flatMap((lifetime) => styles.map((style) => [lifetime, style] as const))

  it.each(cases)(
    'fire exactly when they should, with tokens of %d s and credentials by %s',
    { timeout: 300_000 },
    async (lifetime, style) => {
      expect(await playScenarios(promtool ?? 'promtool', lifetime, style)).toBe('')
    },
  )
})
