import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { recordings } from '../../../monitoring/recordings.ts'
import { durationPrinter } from '../../../monitoring/rule.ts'
import { alerts, rulesFile } from '../../../monitoring/rules.ts'
import { reasons } from '../../../src/api/v1alpha1/reasons.ts'
import { exportedSeries, parseExpression, unknownParts } from '../../monitoring/promql.ts'
import { describeWith, findProgram } from '../../monitoring/promtool.ts'
import { runToEnd } from '../../support/run.ts'

const shipped = durationPrinter(1)
const series = await exportedSeries()
const recorded = new Map(
  recordings.map(({ expression, record }) => {
    // The labels of a recording are those of its first aggregation.
    const by = /\bby \(([^)]*)\)/.exec(expression(shipped))?.[1] ?? ''
    return [record, by.split(', ')] as const
  }),
)

describe('the rules', () => {
  it.each([
    ...recordings.map(({ record, expression }) => [record, expression] as const),
    ...alerts.map(({ expression, name }) => [name, expression] as const),
  ])('%s reads series and labels that are exported', (_name, expression) => {
    expect(parseExpression(expression(shipped)).selectors.length).toBeGreaterThan(0)
    expect(unknownParts(expression(shipped), series, recorded)).toEqual([])
  })

  it.each(alerts)('the templates of $name name labels that the alert has', ({ description, expression, summary }) => {
    const { groupingLabels, selectors } = parseExpression(expression(shipped))
    const labels = [
      ...groupingLabels,
      'instance',
      ...selectors.flatMap(({ metric }) => series.get(metric) ?? recorded.get(metric) ?? []),
    ]
    for (const [, label = ''] of `${summary}${description}`.matchAll(/\$labels\.(\w+)/g)) {
      expect(labels).toContain(label)
    }
    for (const [, query = ''] of description.matchAll(/printf "([^"]*)"/g)) {
      expect(unknownParts(query.replaceAll('%q', '"x"'), series, recorded)).toEqual([])
    }
  })

  it.each(alerts)('$name has texts, a severity and a runbook of its own name', ({ description, name, summary }) => {
    expect(name).toMatch(/^Enos(?:Credential|Gateway|Operator)[A-Z]\w+$/)
    expect(summary).toMatch(/^\S.{10,120}[^.]$/)
    expect(description).toMatch(/^\S.{40,}\.$/)
    const rule = rulesFile().groups[0]?.rules.find(({ alert }) => alert === name)
    expect(rule).toMatchObject({
      annotations: {
        runbook_url: expect.stringMatching(new RegExp(`^https://.*/docs/runbooks/${name}\\.md$`)) as string,
      },
    })
  })

  it('link to the anchor of each reason', async () => {
    const page = await readFile(new URL('../../../docs/reference/reasons.md', import.meta.url), 'utf8')
    const linking = alerts.filter(({ description }) =>
      description.includes('docs/reference/reasons.md#{{ .Labels.reason }}'),
    )
    expect(linking.length).toBeGreaterThan(4)
    for (const reason of Object.keys(reasons)) expect(page).toContain(`<a id="${reason}"></a>`)
  })

  it('have distinct names', () => {
    const names = [...recordings.map(({ record }) => record), ...alerts.map(({ name }) => name)]
    expect(new Set(names).size).toBe(names.length)
  })

  it('are the same in the manifest and in the plain file', async () => {
    const read = async (name: string): Promise<unknown> =>
      parse(await readFile(new URL(`../../../deploy/components/monitoring/${name}`, import.meta.url), 'utf8'))
    const manifest = (await read('prometheus-rule.yaml')) as { spec: unknown }
    expect(manifest.spec).toEqual(await read('rules.yaml'))
    expect(manifest.spec).toEqual(rulesFile())
  })

  it('are shortened in durations only', () => {
    const [short, whole] = [rulesFile(0.2), rulesFile()].map((file) => stringify(file))
    expect(short).not.toBe(whole)
    const withoutDurations = (text = ''): string =>
      text.replaceAll(/\[[\w:]+\]/g, '[]').replaceAll(/^( *(?:for|keep_firing_for|interval): ).*$/gm, '$1')
    expect(withoutDurations(short)).toBe(withoutDurations(whole))
  })
})

describe('the check of expressions', () => {
  it.each([
    ['max by (', 'no PromQL'],
    ['enos_no_such_metric > 0', 'enos_no_such_metric is not exported'],
    ['enos_gateway_circuit_open{hots="a"}', 'enos_gateway_circuit_open has no label hots'],
    ['max by (hots) (enos_gateway_circuit_open)', 'no series has the label hots'],
  ])('refuses %s', (text, problem) => {
    const seen = (): string => {
      try {
        return unknownParts(text, series, recorded).join('; ')
      } catch (error) {
        return String(error)
      }
    }
    expect(seen()).toContain(problem)
  })
})

describe('durationPrinter', () => {
  it.each([
    [1, 3600, '1h'],
    [1, 90, '90s'],
    [1, 300, '5m'],
    [1 / 5, 30, '6s'],
    [1 / 60, 30, '500ms'],
  ])('with the factor %d prints %d s as %s', (factor, seconds, text) => {
    expect(durationPrinter(factor)(seconds)).toBe(text)
  })
})

const promtool = findProgram('promtool', 'PROMTOOL')

describeWith([promtool], 'promtool', () => {
  it('finds no fault in the configuration that the documentation shows, which scrapes the shipped pods', async () => {
    const read = async (path: string): Promise<string> =>
      await readFile(new URL(`../../../${path}`, import.meta.url), 'utf8')
    const page = await read('docs/how-to/monitor.md')
    const config = /^```yaml\n# prometheus\.yaml\n(.*?)^```$/ms.exec(page)?.[1] ?? ''
    const deployment = parse(await read('deploy/base/deployment.yaml')) as Record<string, unknown>
    expect(deployment).toHaveProperty('spec.template.metadata.labels', {
      'app.kubernetes.io/name': 'enos-credential-operator',
    })
    expect(deployment).toHaveProperty('spec.template.spec.containers.0.ports.0.name', 'metrics')
    expect(parse(config)).toHaveProperty('scrape_configs.0.relabel_configs.0.regex', 'enos-credential-operator;metrics')
    const directory = await mkdtemp(join(tmpdir(), 'prometheus-'))
    try {
      await writeFile(join(directory, 'rules.yaml'), await read('deploy/components/monitoring/rules.yaml'))
      // Debian's promtool is built without the discovery of pods.
      const targets = '    static_configs: [{ targets: ["127.0.0.1:8080"] }]\n'
      const undiscovered = config.replace(/^ {4}kubernetes_sd_configs:\n(?: {6}.*\n)+/m, targets)
      expect(undiscovered).toContain(targets)
      await writeFile(join(directory, 'prometheus.yaml'), undiscovered)
      const report = await runToEnd(promtool ?? 'promtool', ['check', 'config', join(directory, 'prometheus.yaml')])
      expect(report).toMatchObject({ code: 0, stderr: '' })
      expect(report.stdout).toContain('1 rule files found')
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  it('finds no fault in the rules, shipped or shortened', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'rules-'))
    try {
      for (const factor of [1, 0.2]) {
        const file = join(directory, `${factor}.yaml`)
        await writeFile(file, stringify(rulesFile(factor)))
        const { code, stderr, stdout } = await runToEnd(promtool ?? 'promtool', [
          'check',
          'rules',
          '--lint=all',
          '--lint-fatal',
          file,
        ])
        expect(code, `${stdout}${stderr}`).toBe(0)
      }
    } finally {
      await rm(directory, { recursive: true })
    }
  })
})
