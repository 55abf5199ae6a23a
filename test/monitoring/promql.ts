import { readFile } from 'node:fs/promises'
import type { SyntaxNode } from '@lezer/common'
import { parser } from '@prometheus-io/lezer-promql'
import { Metrics } from '../../src/telemetry/metrics.ts'

/** A selector of an expression: the metric, and the labels that its matchers name. */
export interface Selector {
  readonly metric: string
  readonly labels: readonly string[]
}

export interface Expression {
  readonly selectors: readonly Selector[]
  /** Of `by`, `on`, `ignoring`, `group_left` and the like. */
  readonly groupingLabels: readonly string[]
}

/** @throws where the expression is no PromQL */
export function parseExpression(text: string): Expression {
  const selectors: Selector[] = []
  const groupingLabels: string[] = []
  const textOf = ({ from, to }: SyntaxNode): string => text.slice(from, to)
  parser.parse(text).iterate({
    enter: ({ name, node, type }) => {
      if (type.isError) throw new SyntaxError(`no PromQL at ${node.from}: ${text}`)
      if (name === 'VectorSelector') {
        const metric = node.getChild('Identifier')
        const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []
        const labels = matchers.map((matcher) => matcher.getChild('LabelName')).filter((label) => label !== null)
        selectors.push({ metric: metric === null ? '' : textOf(metric), labels: labels.map(textOf) })
      }
      if (name === 'GroupingLabels') groupingLabels.push(...node.getChildren('LabelName').map(textOf))
    },
  })
  return { selectors, groupingLabels }
}

/** Labels that Prometheus adds to every series of a target. */
export const targetLabels = ['job', 'instance']

/** All series of the operator, each with its labels: of docs/reference/metrics.md, and those of prom-client. */
export async function exportedSeries(): Promise<Map<string, readonly string[]>> {
  const page = await readFile(new URL('../../docs/reference/metrics.md', import.meta.url), 'utf8')
  const series = new Map<string, readonly string[]>()
  for (const [, name = '', type = '', labelCell = ''] of page.matchAll(/^\| `(\w+)` \| (\w+) \| ([^|]*) \|/gm)) {
    const labels = [...labelCell.matchAll(/`(\w+)`/g)].map(([, label = '']) => label)
    if (type === 'histogram') {
      series.set(`${name}_bucket`, [...labels, 'le'])
      for (const suffix of ['sum', 'count']) series.set(`${name}_${suffix}`, labels)
    } else {
      series.set(name, labels)
    }
  }
  for (const { name } of new Metrics({
    version: '',
    leaseName: '',
    logOutput: { droppedLines: 0 },
  }).register.getMetricsAsArray()) {
    if (/^(?:process|nodejs)_/.test(name)) series.set(name, [])
  }
  return series
}

/**
 * Lists what an expression asks for in vain, one sentence each.
 *
 * @param recorded the labels of recorded series
 */
export function unknownParts(
  text: string,
  series: ReadonlyMap<string, readonly string[]>,
  recorded: ReadonlyMap<string, readonly string[]> = new Map(),
): string[] {
  const problems: string[] = []
  const { groupingLabels, selectors } = parseExpression(text)
  const known = new Set(targetLabels)
  for (const { labels, metric } of selectors) {
    const exported = series.get(metric)
    const available = recorded.get(metric) ?? (exported === undefined ? undefined : [...exported, ...targetLabels])
    if (available === undefined) {
      problems.push(`${metric} is not exported`)
      continue
    }
    for (const label of available) known.add(label)
    // A label of the target, where the series has none of its own.
    known.add('namespace')
    for (const label of labels) if (!available.includes(label)) problems.push(`${metric} has no label ${label}`)
  }
  for (const label of groupingLabels) if (!known.has(label)) problems.push(`no series has the label ${label}: ${text}`)
  return problems
}
