import { namespace } from './plant.ts'
import type { HappeningKind } from './scenario.ts'

/** What the demo shows, as text. Everything here is pure. */

export interface ScreenState {
  /** Since the demo began to watch, in ms. */
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
  /** Path: for a look from another terminal. */
  readonly kubeconfig: string
  /** What kubectl printed last. */
  readonly table: string
  /** Oldest first. */
  readonly happenings: readonly Happening[]
}

export interface TargetRow {
  readonly name: string
  readonly application: string
  /** Undefined: there is no valid token on it. */
  readonly lifeLeftMs: number | undefined
  readonly renewals: number
  readonly condition: ConditionSummary
}

/** What a resource says of itself, in short. */
export interface ConditionSummary {
  readonly level: 'good' | 'renewalFails' | 'bad'
  readonly text: string
}

/** Calls that the gateway had. */
export interface ApplicationCalls {
  readonly name: string
  readonly get: number
  readonly refresh: number
}

export interface Happening {
  /** Since the demo began to watch, in ms. */
  readonly atMs: number
  readonly kind: HappeningKind
  readonly text: string
}

export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red'

/** How a screen is drawn. */
export interface Theme {
  readonly full: string
  readonly empty: string
  readonly marks: Readonly<Record<HappeningKind, string>>
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
  marks: { news: ' ', fault: '!', recovery: '+' },
  paint: (_style, text) => text,
}

const codes: Readonly<Record<Style, number>> = { bold: 1, dim: 2, green: 32, yellow: 33, red: 31 }

export const colourTheme: Theme = {
  full: '█',
  empty: '░',
  marks: { news: ' ', fault: '✗', recovery: '✓' },
  paint: (style, text) => `\x1b[${codes[style]}m${text}\x1b[0m`,
}

const levelStyles: Readonly<Record<ConditionSummary['level'], Style>> = {
  good: 'green',
  renewalFails: 'yellow',
  bad: 'red',
}
const kindStyles: Readonly<Record<HappeningKind, Style | undefined>> = {
  news: undefined,
  fault: 'red',
  recovery: 'green',
}
/** What a line of the table needs besides the bar. */
const restColumns = 68
const barColumns = { least: 10, most: 30 }
const headings = ['SECRET', 'APP', 'TOKEN TIME LEFT', 'RENEWED', 'CONDITION'] as const

/** The whole screen, lines separated by newlines: the state, and as many of the last happenings as there is room for. */
export function renderScreen(state: ScreenState, theme: Theme, size: ScreenSize): string {
  const lines = renderState(state, theme, size)
  // One line stays free between both.
  const room = Math.max(1, size.rows - lines.length - 1)
  return [...lines, '', ...state.happenings.slice(-room).map((happening) => renderHappening(happening, theme))].join(
    '\n',
  )
}

/** The lines of everything but the happenings. */
export function renderState(state: ScreenState, theme: Theme, { columns }: Pick<ScreenSize, 'columns'>): string[] {
  const { paint } = theme
  const barWidth = Math.min(barColumns.most, Math.max(barColumns.least, columns - restColumns))
  const gateway = state.isGatewayOut ? paint('red', 'gone') : paint('green', 'up')
  const calls = state.applications.map(({ get, name, refresh }) => `${name}: ${get} get, ${refresh} refresh`).join('; ')
  const expired = `${state.expired} of them expired`
  return [
    `${paint('bold', 'enos-credential-operator')}   ${clockOf(state)}   ` +
      `tokens live ${inSeconds(state.lifetimeMs)}, renewed with ${inSeconds(state.renewalWindowMs)} left`,
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

export function renderHappening({ atMs, kind, text }: Happening, { marks, paint }: Theme): string {
  const style = kindStyles[kind]
  const line = `${marks[kind]} ${text}`
  return `${paint('dim', inSeconds(atMs, 1).padStart(8))} ${style === undefined ? line : paint(style, line)}`
}

/** A bar for the part of a token's life that is left. */
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

/** Yellow inside of the renewal window: there the token is being renewed, or cannot be. */
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
