/** A query of a panel. */
export interface PanelQuery {
  /** PromQL, with the variables `$job` and `$__rate_interval` of Grafana. */
  readonly expression: string
  /** Legend of a graph, or column of a table. */
  readonly legend: string
  /** Unit of a column that has another than its panel. */
  readonly unit?: string
}

/** A panel as data. */
export interface Panel {
  readonly kind: 'stat' | 'table' | 'graph'
  readonly title: string
  /** What is seen, and what it means. */
  readonly description: string
  /** As Grafana names it. */
  readonly unit: string
  readonly queries: readonly PanelQuery[]
  /** Whether each replica has a series of its own, and the panel shows them side by side. */
  readonly isPerReplica?: boolean
  /** In 24ths of the width of the page. */
  readonly width: number
  /** A value from which on the panel is red. */
  readonly alarmFrom?: number
  /** The labels of a table, in the order of its columns. */
  readonly labels?: readonly string[]
  /** The column that sorts a table, its smallest value first. */
  readonly sortedBy?: string
  readonly links?: readonly { readonly title: string; readonly url: string }[]
}

export interface Row {
  readonly title: string
  readonly panels: readonly Panel[]
}

/** The matcher of every query: the install that the variable names. */
export const ofJob = 'job=~"$job"'
