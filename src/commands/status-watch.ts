import type { ObjectKey } from '../kubernetes/types.ts'
import { type Clock, sleep } from '../lib/clock.ts'
import { formatDuration } from '../lib/duration.ts'
import { formatTime } from '../lib/time.ts'
import type { Color, CommandContext, Terminal } from './context.ts'
import { expiresIn, renewsIn, type StatusRow, statusRow, statusRows, summaryOf } from './status-table.ts'
import { printable, renderTable } from './table.ts'
import type { WatchedCredentials } from './watch-credentials.ts'

/** Shows the resources as they change, until the command is stopped. */
export interface StatusView {
  readonly show: (watched: WatchedCredentials) => void
  readonly close: () => void
}

const barLength = 20
/** Times left are counted down at this pace. */
const redrawMs = 1000
/** Of xterm: another screen without a cursor, and back. */
const [enterScreen, leaveScreen] = ['\u001b[?1049h\u001b[?25l', '\u001b[?25h\u001b[?1049l']
const [home, clearLine, clearRest] = ['\u001b[H', '\u001b[K', '\u001b[J']

export interface ScreenOptions {
  readonly terminal: Terminal
  readonly print: (text: string) => void
  readonly clock: Clock
  readonly describeFailure: (watched: WatchedCredentials) => string
  readonly signal: AbortSignal
}

/** A table that is drawn again in place, each second and with each change. */
export function screenView({ clock, describeFailure, print, signal, terminal }: ScreenOptions): StatusView {
  /** Undefined until the first list. */
  let watched: WatchedCredentials | undefined
  const draw = (): void => {
    if (watched === undefined) return
    const nowWall = clock.wall()
    const rows = statusRows([...watched.objects.values()], nowWall)
    const note = watched.failure === undefined ? '' : describeFailure(watched)
    const lines = renderScreen(rows, { nowWall, note, terminal })
    print(`${home}${lines.map((line) => `${line}${clearLine}\n`).join('')}${clearRest}`)
  }
  print(enterScreen)
  const redraw = async (): Promise<void> => {
    while (!signal.aborted) {
      draw()
      await sleep(clock, redrawMs, signal).catch(() => undefined)
    }
  }
  void redraw()
  return {
    show: (next) => {
      watched = next
      draw()
    },
    close: () => {
      print(leaveScreen)
    },
  }
}

export interface ScreenInput {
  /** ms */
  readonly nowWall: number
  /** Shown below the table; '': none. */
  readonly note: string
  readonly terminal: Terminal
}

/** The lines of the screen, no longer and no more than the terminal has. @param rows the most urgent first */
export function renderScreen(rows: readonly StatusRow[], { note, nowWall, terminal }: ScreenInput): string[] {
  const { columns, rows: height } = terminal.size()
  const footer = [`${summaryOf(rows)}, ${formatTime(nowWall)}`, ...(note === '' ? [] : [printable(note)])]
  // The last line of the screen stays empty, so that nothing scrolls.
  const room = Math.max(1, height - footer.length - 4)
  const shown = rows.length > room ? rows.slice(0, room) : rows
  const nameLength = Math.max(8, Math.floor(columns / 3))
  const cells = shown.map((row) => [
    `${row.namespace}/${row.name}`.slice(0, nameLength),
    row.ready,
    bar(row),
    expiresIn(row.expiresInSeconds),
    renewsIn(row.renewsInSeconds),
    reasonsOf(row),
  ])
  const table = renderTable(['RESOURCE', 'READY', 'TIME LEFT', '', 'RENEWS IN', 'REASON'], cells).split('\n')
  const [header = '', ...lines] = table.slice(0, -1).map((line) => line.slice(0, columns))
  const hidden = rows.length - shown.length
  const more = hidden === 0 ? '' : `and ${hidden} more`
  return [
    terminal.paint('bold', header),
    ...shown.map((row, at) => terminal.paint(colorOf(row), lines[at] ?? '')),
    more,
    ...footer.map((text) => text.slice(0, columns)),
  ]
}

/** The share of the token's life that is left. */
function bar({ expiresInSeconds, tokenAgeSeconds }: StatusRow): string {
  if (expiresInSeconds === null || tokenAgeSeconds === null) return '-'
  const left = Math.max(0, expiresInSeconds)
  const life = Math.max(1, left + tokenAgeSeconds)
  const filled = expiresInSeconds <= 0 ? 0 : Math.max(1, Math.round((left / life) * barLength))
  return `[${'#'.repeat(filled).padEnd(barLength, '.')}]`
}

function colorOf({ problems, ready }: StatusRow): Color {
  if (ready !== 'True') return 'red'
  return problems.length === 0 ? 'green' : 'yellow'
}

function reasonsOf({ problems, reason }: StatusRow): string {
  return problems.length === 0 ? reason : problems.map((problem) => problem.reason).join(',')
}

export interface LineOptions extends Pick<CommandContext, 'clock' | 'print'> {
  /** Called when the first list has no resource, so that the silence is not taken for a fault. */
  readonly onNone: () => void
}

/** One line for each change that a reader of a log or a pipe cares about. */
export function lineView({ clock, onNone, print }: LineOptions): StatusView {
  let isFirst = true
  /** The line of each resource without its times; bounded by the resources that exist. */
  const last = new Map<ObjectKey, string>()
  return {
    show: ({ objects }) => {
      if (isFirst && objects.size === 0) onNone()
      isFirst = false
      const nowWall = clock.wall()
      for (const key of last.keys()) {
        if (objects.has(key)) continue
        last.delete(key)
        print(`${formatTime(nowWall)} ${printable(key)} deleted\n`)
      }
      for (const [key, object] of objects) {
        const row = statusRow(object, nowWall)
        const state = [row.ready, reasonsOf(row), row.lastRenewalAt].join(' ')
        if (last.get(key) === state) continue
        last.set(key, state)
        print(`${formatTime(nowWall)} ${printable(`${key} ${describeRow(row)}`)}\n`)
      }
    },
    close: () => undefined,
  }
}

function describeRow(row: StatusRow): string {
  const seconds = row.expiresInSeconds
  const left = seconds === null || seconds <= 0 ? expiresIn(seconds) : `${formatDuration(seconds * 1000)} left`
  return `Ready=${row.ready} ${reasonsOf(row)}${left === '-' ? '' : ` ${left}`}`
}
