import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import type { Panel } from '../../monitoring/dashboard/panel.ts'
import type { Series } from './prometheus.ts'
import type { Labels } from './timeline.ts'

/** A panel, and for each of its queries what Prometheus answered. */
export interface DrawnPanel {
  readonly panel: Panel
  readonly answers: readonly (readonly Series[])[]
}

interface Point {
  readonly at: number
  readonly value: number
  readonly line: string
}

const graphsInRow = 3
const formats: Readonly<Record<string, string>> = { bytes: '.2s', s: '~r', ops: '~r', reqps: '~r', short: '~r' }

/** Draws numbers, tables and graphs as the dashboard shows them. @returns SVG */
export async function drawDashboard(panels: readonly DrawnPanel[]): Promise<string> {
  const stats = panels.filter(({ panel }) => panel.kind === 'stat')
  const tables = panels.filter(({ panel }) => panel.kind === 'table')
  const graphs = panels.filter(({ panel }) => panel.kind === 'graph')
  const spec = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    background: 'white',
    vconcat: [
      { hconcat: stats.map(drawStat) },
      ...tables.map(drawTable),
      {
        concat: graphs.map(drawGraph),
        columns: graphsInRow,
        resolve: { scale: { color: 'independent' }, legend: { color: 'independent' } },
      },
    ],
    config: { view: { stroke: '#ddd' }, axis: { labelFontSize: 9, titleFontSize: 9 }, legend: { labelFontSize: 9 } },
  }
  return await new View(parse(compile(spec as unknown as TopLevelSpec).spec), { renderer: 'none' }).toSVG()
}

function drawStat({ answers, panel }: DrawnPanel): unknown {
  const value = answers[0]?.[0]?.values.at(-1) ?? 0
  const isAlarm = panel.alarmFrom !== undefined && value >= panel.alarmFrom
  return {
    title: { text: panel.title, fontSize: 11 },
    width: 170,
    height: 50,
    data: { values: [{ value }] },
    mark: { type: 'text', fontSize: 30, fontWeight: 'bold', color: isAlarm ? '#d44a3a' : '#299c46' },
    encoding: { text: { field: 'value', format: '~r' } },
  }
}

function drawTable(drawn: DrawnPanel): unknown {
  const rows = tableRows(drawn)
  const { labels = [], queries } = drawn.panel
  const columns = [...labels, ...queries.map(({ legend }) => legend)]
  return {
    title: { text: drawn.panel.title, fontSize: 11 },
    width: 1150,
    height: { step: 16 },
    data: { values: rows.flatMap((row, at) => [...row].map(([column, value]) => ({ at, column, text: value }))) },
    mark: { type: 'text', fontSize: 10 },
    encoding: {
      x: {
        field: 'column',
        type: 'nominal',
        scale: { domain: columns },
        title: null,
        axis: { orient: 'top', labelAngle: 0, labelFontWeight: 'bold', ticks: false, domain: false },
      },
      y: { field: 'at', type: 'ordinal', axis: null },
      text: { field: 'text', type: 'nominal' },
    },
  }
}

/** Column → text. Answers to the queries of a table are one row where their common labels agree. */
function tableRows({ answers, panel }: DrawnPanel): Map<string, string>[] {
  const rows: { readonly labels: Labels; readonly cells: Map<string, string>; readonly values: Map<string, number> }[] =
    []
  for (const [at, series] of answers.entries()) {
    const { legend = '', unit = panel.unit } = panel.queries[at] ?? {}
    for (const { labels, values } of series) {
      const isSame = (other: Labels): boolean =>
        Object.entries(labels).every(([name, value]) => (other[name] ?? value) === value)
      let row = at === 0 ? undefined : rows.find((candidate) => isSame(candidate.labels))
      if (row === undefined) {
        row = { labels, cells: new Map(), values: new Map() }
        rows.push(row)
      }
      for (const [name, value] of Object.entries(labels)) row.cells.set(name, value)
      row.cells.set(legend, printValue(values.at(-1) ?? NaN, unit))
      row.values.set(legend, values.at(-1) ?? NaN)
    }
  }
  const { sortedBy = '' } = panel
  const orderOf = (row: (typeof rows)[number]): number => row.values.get(sortedBy) ?? Infinity
  return rows.toSorted((a, b) => orderOf(a) - orderOf(b)).map(({ cells }) => cells)
}

function printValue(value: number, unit: string): string {
  if (unit === 'dateTimeAsIso') return new Date(value).toISOString().replace(/\.\d+Z$/, 'Z')
  return unit === 's' ? `${Math.round(value)} s` : String(value)
}

function drawGraph({ answers, panel }: DrawnPanel): unknown {
  const values = answers.flatMap((series, at) =>
    series.flatMap((one) => pointsOf(one, panel.queries[at]?.legend ?? '')),
  )
  return {
    title: { text: panel.title, fontSize: 11 },
    width: 330,
    height: 110,
    data: { values },
    mark: { type: 'line', interpolate: 'linear', strokeWidth: 1.5 },
    encoding: {
      x: { field: 'at', type: 'temporal', title: null, axis: { format: '%H:%M', tickCount: 5 } },
      y: {
        field: 'value',
        type: 'quantitative',
        title: panel.unit === 'short' ? null : panel.unit,
        axis: { format: formats[panel.unit] ?? '~r', tickCount: 4 },
      },
      color: {
        field: 'line',
        type: 'nominal',
        title: null,
        legend: { orient: 'bottom', columns: 2, labelLimit: 180, symbolType: 'stroke' },
      },
    },
  }
}

function pointsOf({ labels, times, values }: Series, legend: string): Point[] {
  const line = printLegend(legend, labels)
  return times.flatMap((at, i) => {
    const value = values[i]
    return value === undefined || !Number.isFinite(value) ? [] : [{ at: at * 1000, value, line }]
  })
}

function printLegend(legend: string, labels: Labels): string {
  return legend.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => labels[name] ?? '')
}
