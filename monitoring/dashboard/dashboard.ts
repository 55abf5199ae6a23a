import type * as cog from '@grafana/grafana-foundation-sdk/cog'
import { TableSortByFieldStateBuilder } from '@grafana/grafana-foundation-sdk/common'
import {
  // The model that Grafana's sidecar and provisioning read in every version; the second one needs Grafana 12.
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DatasourceVariableBuilder,
  type Panel as GrafanaPanel,
  QueryVariableBuilder,
  RowBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table'
import { PanelBuilder as GraphBuilder } from '@grafana/grafana-foundation-sdk/timeseries'
import { onCallPanels } from './on-call.ts'
import type { Panel, Row } from './panel.ts'
import { platformPanels } from './platform.ts'

export const rows: readonly Row[] = [
  { title: 'On call', panels: onCallPanels },
  { title: 'Platform', panels: platformPanels },
]

/** Links to the dashboard stay valid as long as it has this uid. */
export const dashboardUid = 'enos-credential-operator'

const datasource = { type: 'prometheus', uid: '${datasource}' }
const heights = { stat: 4, table: 9, graph: 7 }

/** The dashboard as Grafana imports it. */
export function dashboard(): unknown {
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  const builder = new DashboardBuilder('EnOS credentials')
    .uid(dashboardUid)
    .description('Tokens that enos-credential-operator keeps fresh: which need attention, and how the operator works.')
    .tags(['enos', 'enos-credential-operator'])
    .tooltip(DashboardCursorSync.Crosshair)
    .time({ from: 'now-3h', to: 'now' })
    .refresh('30s')
    .timezone('browser')
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .withVariable(
      new QueryVariableBuilder('job')
        .label('Install')
        .datasource(datasource)
        .query('label_values(enos_build_info, job)')
        .refresh(VariableRefresh.OnTimeRangeChanged)
        .multi(true)
        .includeAll(true)
        .allValue('.+'),
    )
  for (const { panels, title } of rows) {
    builder.withRow(new RowBuilder(title))
    for (const panel of panels) builder.withPanel(panelBuilder(panel))
  }
  return builder.build()
}

function panelBuilder(panel: Panel): cog.Builder<GrafanaPanel> {
  const { alarmFrom, description, kind, links = [], title, unit, width } = panel
  const builder = kind === 'stat' ? new StatBuilder() : kind === 'table' ? new TableBuilder() : new GraphBuilder()
  builder.title(title).description(description).unit(unit).datasource(datasource).span(width).height(heights[kind])
  for (const target of queryBuilders(panel)) builder.withTarget(target)
  builder.thresholds(
    new ThresholdsConfigBuilder()
      .mode(ThresholdsMode.Absolute)
      .steps([
        { value: null, color: 'green' },
        ...(alarmFrom === undefined ? [] : [{ value: alarmFrom, color: 'red' }]),
      ]),
  )
  builder.dataLinks(
    links.map(({ title: linkTitle, url }) => new DashboardLinkBuilder(linkTitle).url(url).targetBlank(true)),
  )
  return builder instanceof TableBuilder ? asTable(builder, panel) : builder
}

function queryBuilders({ kind, queries }: Panel): DataqueryBuilder[] {
  return queries.map(({ expression, legend }, at) => {
    const query = new DataqueryBuilder().datasource(datasource).expr(expression).legendFormat(legend).refId(refIdOf(at))
    if (kind === 'graph') return query.range()
    return kind === 'table' ? query.instant().format(PromQueryFormat.Table) : query.instant()
  })
}

/** One line for each set of labels, with a column for each query. */
function asTable(builder: TableBuilder, { labels = [], queries, sortedBy }: Panel): TableBuilder {
  if (sortedBy !== undefined) builder.sortBy([new TableSortByFieldStateBuilder().displayName(sortedBy).desc(false)])
  builder.withTransformation({ id: 'merge', options: {} })
  const valueOf = (at: number): string => (queries.length === 1 ? 'Value' : `Value #${refIdOf(at)}`)
  const columns = [...labels, ...queries.map((_, at) => valueOf(at))]
  const indexByName = Object.fromEntries(columns.map((name, at) => [name, at]))
  builder.withTransformation({ id: 'organize', options: { excludeByName: { Time: true }, indexByName } })
  for (const [at, { legend, unit }] of queries.entries()) {
    const name = valueOf(at)
    const properties = [
      { id: 'displayName', value: legend },
      ...(unit === undefined ? [] : [{ id: 'unit', value: unit }]),
    ]
    builder.overrideByName(name, properties)
  }
  return builder
}

/** As Grafana names the queries of a panel. */
function refIdOf(at: number): string {
  return String.fromCodePoint(65 + at)
}
