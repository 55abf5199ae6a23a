import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { dashboard, rows } from '../../../monitoring/dashboard/dashboard.ts'
import { exportedSeries, parseExpression, unknownParts } from '../../monitoring/promql.ts'

interface GrafanaPanel {
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly datasource?: unknown
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } }
  readonly options?: { readonly sortBy?: readonly { readonly displayName: string; readonly desc: boolean }[] }
  readonly targets?: readonly { readonly expr: string; readonly datasource: unknown }[]
}

const built = dashboard() as {
  readonly uid: string
  readonly title: string
  readonly panels: readonly GrafanaPanel[]
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] }
}
const panels = rows.flatMap((row) => row.panels)
const queries = panels.flatMap((panel) => panel.queries.map(({ expression }) => ({ panel, expression })))
const series = await exportedSeries()
// Of Prometheus itself.
series.set('ALERTS', ['alertname', 'alertstate', 'severity', 'namespace', 'name', 'host'])

/** A range of Grafana stands for some minutes. */
const concrete = (expression: string): string => expression.replaceAll('$__rate_interval', '5m')

describe('the dashboard', () => {
  it('has a stable uid, and is the generated file', async () => {
    expect(built.uid).toBe('enos-credential-operator')
    const file = new URL('../../../deploy/components/monitoring/dashboard.json', import.meta.url)
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(JSON.parse(JSON.stringify(built)))
  })

  it('lets users choose the data source, and the install', () => {
    expect(built.templating.list.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'datasource datasource',
      'job query',
    ])
    const used = built.panels.flatMap(({ datasource, targets = [] }) => [
      datasource,
      ...targets.map((one) => one.datasource),
    ])
    for (const one of used.filter((datasource) => datasource !== undefined)) {
      expect(one).toEqual({ type: 'prometheus', uid: '${datasource}' })
    }
  })

  it('has all panels, each with distinct title, description and unit', () => {
    const drawn = built.panels.filter(({ type }) => type !== 'row')
    expect(drawn.map(({ title }) => title)).toEqual(panels.map(({ title }) => title))
    expect(new Set(drawn.map(({ title }) => title)).size).toBe(drawn.length)
    for (const { description, fieldConfig, targets = [], title } of drawn) {
      expect(description, title).toMatch(/^\S.{15,}\.$/)
      expect(fieldConfig?.defaults.unit, title).toMatch(/^\w+$/)
      expect(targets.length, title).toBeGreaterThan(0)
    }
  })

  it('sorts its tables by a column that they have, and links each reason to what to do about it', () => {
    const sorted = panels.filter(({ sortedBy }) => sortedBy !== undefined)
    expect(sorted.map(({ title }) => title)).toEqual([
      'What is wrong, the longest first',
      'Credentials, the most urgent first',
    ])
    for (const { queries: columns, sortedBy, title } of sorted) {
      expect(columns.map(({ legend }) => legend)).toContain(sortedBy)
      const { options } = built.panels.find((panel) => panel.title === title) ?? {}
      expect(options?.sortBy).toEqual([{ displayName: sortedBy, desc: false }])
    }
    expect(sorted[0]?.links?.map(({ url }) => url)).toEqual([
      expect.stringMatching(/\/docs\/reference\/reasons\.md#\$\{__data\.fields\.reason\}$/),
    ])
  })

  it.each(queries)('reads exported series of the chosen install only: $expression', ({ expression }) => {
    expect(unknownParts(concrete(expression), series)).toEqual([])
    for (const { labels, metric } of parseExpression(concrete(expression)).selectors) {
      // Joined to series of the install, or of Prometheus itself.
      if (metric === 'leader_election_master_status' && labels.length === 0) continue
      expect(labels, metric).toContain(metric === 'ALERTS' ? 'alertname' : 'job')
    }
  })

  it.each(queries)('takes rates over $__rate_interval: $expression', ({ expression }) => {
    const rates = [...expression.matchAll(/\b(?:rate|increase|irate)\([^[]*\[([^\]]*)\]/g)]
    for (const [, range] of rates) expect(range).toBe('$__rate_interval')
    expect(expression.includes('_total') || expression.includes('_bucket')).toBe(rates.length > 0)
  })

  it.each(queries)('merges replicas, or shows them side by side: $expression', ({ expression, panel }) => {
    const { groupingLabels } = parseExpression(concrete(expression))
    const merged = expression.replaceAll(/on \([^)]*\)/g, '')
    expect(/\b(?:instance|pod)\b/.test(merged)).toBe(panel.isPerReplica === true)
    expect(groupingLabels.length).toBeGreaterThan(0)
  })
})
