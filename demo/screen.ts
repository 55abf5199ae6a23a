import { namespace } from './plant.ts'
import type { LogKind } from './scenario.ts'

/** The state of the demo as text. All functions are pure. */

export interface ScreenState {
  /** In ms since all resources were Ready. */
  readonly elapsedMs: number
  /** Undefined: until Ctrl-C. */
  readonly durationMs: number | undefined
  readonly lifetimeMs: number
  readonly renewalWindowMs: number
  readonly targets: readonly TargetRow[]
  readonly applications: readonly ApplicationCalls[]
  readonly isGatewayOut: boolean
  readonly samples: number
  readonly expired: number
  /** Path, shown for use in another terminal. */
  readonly kubeconfig: string
  /** The last output of kubectl. */
  readonly table: string
  /** The last ones, oldest first. */
  readonly entries: readonly LogEntry[]
  /** Number of all entries so far. */
  readonly totalEntries: number
}

export interface TargetRow {
  readonly name: string
  readonly application: string
  /** Undefined where the target holds no valid token. */
  readonly lifeLeftMs: number | undefined
  readonly renewals: number
  readonly condition: ConditionSummary
}

/** The conditions of a resource in short. */
export interface ConditionSummary {
  readonly level: 'ready' | 'renewalFails' | 'notReady'
  readonly text: string
}

/** Number of calls that the gateway received. */
export interface ApplicationCalls {
  readonly name: string
  readonly get: number
  readonly refresh: number
}

export interface LogEntry {
  /** In ms since all resources were Ready. */
  readonly atMs: number
  readonly kind: LogKind
  readonly text: string
}

export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red'

/** How a screen is drawn. */
export interface Theme {
  readonly full: string
  readonly empty: string
  readonly marks: Readonly<Record<LogKind, string>>
  readonly paint: (style: Style, text: string) => string
}

/** In characters and lines. */
export interface ScreenSize {
  readonly columns: number
  readonly rows: number
}

export const plainTheme: Theme = {
  full: '#',
  empty: '.',
  marks: { info: ' ', fault: '!', recovery: '+' },
  paint: (_style, text) => text,
}

const codes: Readonly<Record<Style, number>> = { bold: 1, dim: 2, green: 32, yellow: 33, red: 31 }

export const colourTheme: Theme = {
  full: '█',
  empty: '░',
  marks: { info: ' ', fault: '✗', recovery: '✓' },
  paint: (style, text) => `\x1b[${codes[style]}m${text}\x1b[0m`,
}

const levelStyles: Readonly<Record<ConditionSummary['level'], Style>> = {
  ready: 'green',
  renewalFails: 'yellow',
  notReady: 'red',
}
const kindStyles: Readonly<Record<LogKind, Style | undefined>> = {
  info: undefined,
  fault: 'red',
  recovery: 'green',
}
/** Width of a table row without its bar. */
const otherColumns = 68
const barColumns = { min: 10, max: 30 }
const headings = ['SECRET', 'APP', 'TOKEN TIME LEFT', 'RENEWED', 'CONDITION'] as const

/** The whole screen, lines separated by newlines: the state, and as many of the last entries as fit. */
export function renderScreen(state: ScreenState, theme: Theme, size: ScreenSize): string {
  const lines = renderState(state, theme, size)
  // One empty line separates state and entries.
  const room = Math.max(1, size.rows - lines.length - 1)
  return [...lines, '', ...state.entries.slice(-room).map((entry) => renderLogEntry(entry, theme))].join('\n')
}

/** The lines of the state, without the entries. */
export function renderState(state: ScreenState, theme: Theme, { columns }: Pick<ScreenSize, 'columns'>): string[] {
  const { paint } = theme
  const barWidth = Math.min(barColumns.max, Math.max(barColumns.min, columns - otherColumns))
  const gateway = state.isGatewayOut ? paint('red', 'down') : paint('green', 'up')
  const calls = state.applications.map(({ get, name, refresh }) => `${name}: ${get} get, ${refresh} refresh`).join('; ')
  const expired = `${state.expired} of them expired`
  return [
    `${paint('bold', 'enos-credential-operator')}   ${clockOf(state)}   ` +
      `token lifetime ${inSeconds(state.lifetimeMs)}, renewed with ${inSeconds(state.renewalWindowMs)} left`,
    '',
    ...targetLines(state, theme, barWidth),
    '',
    `Gateway  ${gateway}; calls by app: ${calls}`,
    `Referee  ${state.samples} samples, ${state.expired === 0 ? expired : paint('red', expired)}`,
    '',
    paint('dim', `$ export KUBECONFIG=${state.kubeconfig}`),
    paint('dim', `$ kubectl get enosappcredentials -n ${namespace}`),
    ...state.table.trimEnd().split('\n'),
  ]
}

export function renderLogEntry({ atMs, kind, text }: LogEntry, { marks, paint }: Theme): string {
  const style = kindStyles[kind]
  const line = `${marks[kind]} ${text}`
  return `${paint('dim', inSeconds(atMs, 1).padStart(8))} ${style === undefined ? line : paint(style, line)}`
}

/** A bar for the remaining share of a token's lifetime. */
export function renderBar(lifeLeftMs: number, lifetimeMs: number, { empty, full }: Theme, width: number): string {
  const share = Math.min(1, Math.max(0, lifeLeftMs / lifetimeMs))
  const filled = Math.ceil(share * width)
  return full.repeat(filled) + empty.repeat(width - filled)
}

function targetLines({ lifetimeMs, renewalWindowMs, targets }: ScreenState, theme: Theme, barWidth: number): string[] {
  const { paint } = theme
  const rows = targets.map(({ application, condition, lifeLeftMs, name, renewals }) => {
    const time =
      lifeLeftMs === undefined
        ? 'NO VALID TOKEN'
        : `${renderBar(lifeLeftMs, lifetimeMs, theme, barWidth)} ${inSeconds(lifeLeftMs, 1).padStart(6)}`
    return [name, application, time, String(renewals), condition.text]
  })
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const padded = (cells: readonly string[]): string[] => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0))
  const lines = targets.map(({ condition, lifeLeftMs }, at) => {
    const [name, application, time = '', renewals] = padded(rows[at] ?? [])
    const painted = paint(levelStyles[condition.level], condition.text)
    return [name, application, paint(timeStyle(lifeLeftMs, renewalWindowMs), time), renewals, painted].join('  ')
  })
  return [paint('bold', padded(headings).join('  ').trimEnd()), ...lines]
}

/** Yellow inside the renewal window: a renewal is under way or failing. */
function timeStyle(lifeLeftMs: number | undefined, renewalWindowMs: number): Style {
  if (lifeLeftMs === undefined) return 'red'
  return lifeLeftMs > renewalWindowMs ? 'green' : 'yellow'
}

function clockOf({ durationMs, elapsedMs }: ScreenState): string {
  return durationMs === undefined
    ? `${inSeconds(elapsedMs)}, until Ctrl-C`
    : `${inSeconds(Math.min(elapsedMs, durationMs))} of ${inSeconds(durationMs)}`
}

function inSeconds(ms: number, digits = 0): string {
  return `${(ms / 1000).toFixed(digits)} s`
}
