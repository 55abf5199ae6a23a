/** What the demo shows, as text. Everything here is pure. */

export interface ScreenState {
  /** Since the demo began to watch, in ms. */
  readonly elapsedMs: number
  /** Undefined: until Ctrl-C. */
  readonly durationMs: number | undefined
  readonly lifetimeMs: number
  readonly renewalWindowMs: number
  readonly targets: readonly TargetRow[]
  readonly isGatewayOut: boolean
  readonly samples: number
  readonly expired: number
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
  /** Of its application. */
  readonly gets: number
  readonly refreshes: number
  /** Status and reason of the condition Ready, like `True/Synced`. */
  readonly ready: string
}

export interface Happening {
  /** Since the demo began to watch, in ms. */
  readonly atMs: number
  readonly text: string
}

export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red'

/** How a screen is drawn. */
export interface Theme {
  readonly full: string
  readonly empty: string
  readonly paint: (style: Style, text: string) => string
}

export const plainTheme: Theme = { full: '#', empty: '.', paint: (_style, text) => text }

const codes: Readonly<Record<Style, number>> = { bold: 1, dim: 2, green: 32, yellow: 33, red: 31 }

export const colourTheme: Theme = {
  full: '█',
  empty: '░',
  paint: (style, text) => `\x1b[${codes[style]}m${text}\x1b[0m`,
}

const barWidth = 30
const shownHappenings = 8
const headings = ['TARGET', 'APPLICATION', 'TIME LEFT', 'RENEWED', 'GET', 'REFRESH', 'READY'] as const

/** One frame, lines separated by newlines. */
export function renderScreen(state: ScreenState, theme: Theme): string {
  const { paint } = theme
  const gateway = state.isGatewayOut ? paint('red', 'gone') : paint('green', 'up')
  const referee = `${state.samples} samples, ${state.expired} expired`
  return [
    `${paint('bold', 'enos-credential-operator')}   ${clockOf(state)}   ` +
      `tokens live ${inSeconds(state.lifetimeMs)}, renewed with ${inSeconds(state.renewalWindowMs)} left`,
    '',
    ...targetLines(state, theme),
    '',
    `Gateway: ${gateway}   Referee: ${state.expired === 0 ? referee : paint('red', referee)}`,
    '',
    paint('dim', '$ kubectl get enosappcredentials -n plant-a'),
    ...state.table.trimEnd().split('\n'),
    '',
    ...state.happenings.slice(-shownHappenings).map(({ atMs, text }) => `${paint('dim', stamp(atMs))}  ${text}`),
  ].join('\n')
}

/** A bar for the part of a token's life that is left. */
export function renderBar(lifeLeftMs: number, lifetimeMs: number, { empty, full }: Theme): string {
  const share = Math.min(1, Math.max(0, lifeLeftMs / lifetimeMs))
  const filled = Math.ceil(share * barWidth)
  return full.repeat(filled) + empty.repeat(barWidth - filled)
}

function targetLines({ lifetimeMs, renewalWindowMs, targets }: ScreenState, theme: Theme): string[] {
  const { paint } = theme
  const rows = targets.map((row) => {
    const left = row.lifeLeftMs
    const bar =
      left === undefined
        ? 'no valid token'.padEnd(barWidth + 7)
        : `${renderBar(left, lifetimeMs, theme)} ${inSeconds(left, 1).padStart(6)}`
    return [row.name, row.application, bar, row.renewals, row.gets, row.refreshes, row.ready].map(String)
  })
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const padded = (cells: readonly string[]): string[] => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0))
  const lines = rows.map((row, at) => {
    const cells = padded(row)
    const isReady = row[6]?.startsWith('True') === true
    cells[2] = paint(styleOf(targets[at]?.lifeLeftMs, renewalWindowMs), cells[2] ?? '')
    cells[6] = paint(isReady ? 'green' : 'red', cells[6] ?? '')
    return cells.join('  ')
  })
  return [paint('bold', padded(headings).join('  ').trimEnd()), ...lines.map((line) => line.trimEnd())]
}

/** Yellow inside of the renewal window: there the token is being renewed, or cannot be. */
function styleOf(lifeLeftMs: number | undefined, renewalWindowMs: number): Style {
  if (lifeLeftMs === undefined) return 'red'
  return lifeLeftMs > renewalWindowMs ? 'green' : 'yellow'
}

function clockOf({ durationMs, elapsedMs }: ScreenState): string {
  return durationMs === undefined
    ? `${inSeconds(elapsedMs)}, until Ctrl-C`
    : `${inSeconds(Math.min(elapsedMs, durationMs))} of ${inSeconds(durationMs)}`
}

function stamp(ms: number): string {
  return inSeconds(ms, 1).padStart(8)
}

function inSeconds(ms: number, digits = 0): string {
  return `${(ms / 1000).toFixed(digits)} s`
}
