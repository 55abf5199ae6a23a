import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { alerts, rulesFile } from '../../monitoring/rules.ts'
import { runToEnd } from '../support/run.ts'
import { type NamespaceStyle, Plant } from './plant.ts'
import { credentialScenarios, type Firing, otherScenarios, type Scenario } from './scenarios.ts'
import { printLabels, Timeline } from './timeline.ts'

export const lifetimes = [60, 7200, 86_400]
export const styles: readonly NamespaceStyle[] = ['namespace', 'exported_namespace']
/** Nearer to an edge than this, a moment says nothing. */
const nearSeconds = 20
/** A scrape, and an evaluation, may each come an interval later. */
const slackSeconds = 1.5 * Timeline.stepSeconds

const windowOf = (lifetimeSeconds: number): number =>
  new Plant({ lifetimeSeconds, style: 'namespace', lengthSeconds: 0 }).window

export function scenariosOf(lifetimeSeconds: number): readonly Scenario[] {
  return [...credentialScenarios(lifetimeSeconds, windowOf(lifetimeSeconds)), ...otherScenarios]
}

/** Moments before and after each edge; where edges are close to each other, those that are near none. */
export function momentsOf({ firings, lengthSeconds }: Scenario): number[] {
  const edges = firings.flatMap(({ from, to }) => [from, to])
  const candidates = [
    lengthSeconds,
    ...edges.flatMap((edge) => [edge - slackSeconds, edge + slackSeconds]),
    ...Array.from({ length: 10 }, (_, i) => (lengthSeconds * i) / 10),
  ]
  const moments = candidates
    .map((at) => Math.round(at / Timeline.stepSeconds) * Timeline.stepSeconds)
    .filter((at) => at >= 0 && at <= lengthSeconds && edges.every((edge) => Math.abs(edge - at) >= nearSeconds))
  return [...new Set(moments)].toSorted((a, b) => a - b)
}

export const fires = ({ from, to }: Firing, at: number): boolean => at > from && at < to

/** A test of promtool: the firing alerts at each moment are exactly these. */
function promtoolTest(scenario: Scenario, lifetimeSeconds: number, style: NamespaceStyle): unknown {
  const { fault, firings, lengthSeconds, name, options } = scenario
  const plant = new Plant({ lifetimeSeconds, style, lengthSeconds, ...options })
  fault(plant)
  return {
    name: `${name}; lifetime ${lifetimeSeconds} s; ${style}`,
    interval: `${Timeline.stepSeconds}s`,
    input_series: plant.timeline.inputSeries(),
    promql_expr_test: momentsOf(scenario).map((at) => ({
      expr: 'ALERTS{alertstate="firing"}',
      eval_time: `${at}s`,
      exp_samples: firings
        .filter((firing) => fires(firing, at))
        .map(({ alert, labels }) => {
          const severity = alerts.find((one) => one.name === alert)?.severity ?? ''
          return {
            labels: `ALERTS{${printLabels({ alertname: alert, alertstate: 'firing', severity, ...labels })}}`,
            value: 1,
          }
        }),
    })),
  }
}

/** Plays all scenarios with a lifetime and a style. @returns the report of promtool; empty when all pass */
export async function playScenarios(promtool: string, lifetimeSeconds: number, style: NamespaceStyle): Promise<string> {
  const tests = scenariosOf(lifetimeSeconds).map((scenario) => promtoolTest(scenario, lifetimeSeconds, style))
  return await playTests(promtool, tests)
}

/** Runs tests of promtool on the shipped rules. @returns its report; empty when all pass */
export async function playTests(promtool: string, tests: readonly unknown[]): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'alerts-'))
  try {
    await writeFile(join(directory, 'rules.yaml'), stringify(rulesFile()))
    const file = join(directory, 'tests.yaml')
    const content = { rule_files: ['rules.yaml'], evaluation_interval: `${Timeline.stepSeconds}s`, tests }
    await writeFile(file, stringify(content, { lineWidth: 0, aliasDuplicateObjects: false }))
    const { code, stderr, stdout } = await runToEnd(promtool, ['test', 'rules', file])
    return code === 0 ? '' : `${stdout}${stderr}`
  } finally {
    await rm(directory, { recursive: true })
  }
}
