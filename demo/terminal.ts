import { colourTheme, plainTheme, renderLogEntry, renderScreen, renderState, type ScreenState } from './screen.ts'

/** The part of process.stdout that the terminal uses. */
export interface Output {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
  write(text: string): unknown
}

const enter = '\x1b[?1049h\x1b[?25l\x1b[?7l'
const leave = '\x1b[?7h\x1b[?25h\x1b[?1049l'
/** Without a terminal: the interval of states that are printed, and the shorter one after a condition has changed. */
const plainFrameEveryMs = 10_000
const plainChangeEveryMs = 2000
const plainColumns = 100

/** Shows the demo: on a terminal as a screen that is redrawn, else as lines. */
export class Terminal {
  readonly #output: Output
  readonly #isLive: boolean
  readonly #theme
  readonly #restore = (): void => this.end()
  #isEntered = false
  #printedEntries = 0
  #lastFrame: { readonly atMs: number; readonly conditions: string } | undefined

  /** @param hasColour whether to draw in colour on a terminal */
  constructor(output: Output, hasColour: boolean) {
    this.#output = output
    this.#isLive = output.isTTY === true
    this.#theme = this.#isLive && hasColour ? colourTheme : plainTheme
  }

  /** Prints a line, before the first frame or after `end`. */
  print(text: string): void {
    this.#output.write(`${text}\n`)
  }

  /** Shows the present state. */
  draw(state: ScreenState): void {
    if (this.#isLive) this.#replaceScreen(state)
    else this.#addLines(state)
  }

  /** Leaves the alternate screen. */
  end(): void {
    if (!this.#isEntered) return
    this.#isEntered = false
    process.off('exit', this.#restore)
    this.#output.write(leave)
  }

  #replaceScreen(state: ScreenState): void {
    if (!this.#isEntered) {
      this.#isEntered = true
      // Restores the terminal however the process exits.
      process.on('exit', this.#restore)
      this.#output.write(enter)
    }
    // A terminal of unknown size reports 0.
    const size = { columns: this.#output.columns || 80, rows: this.#output.rows || 24 }
    const frame = renderScreen(state, this.#theme, size)
    // Each line clears the rest of its row, the last one also the rows below: remains of the previous frame.
    this.#output.write(`\x1b[H${frame.replaceAll('\n', '\x1b[K\n')}\x1b[K\x1b[J`)
  }

  #addLines(state: ScreenState): void {
    const newEntries = state.totalEntries - this.#printedEntries
    for (const entry of newEntries === 0 ? [] : state.entries.slice(-newEntries)) {
      this.print(renderLogEntry(entry, this.#theme))
    }
    this.#printedEntries = state.totalEntries
    const conditions = state.targets.map(({ condition }) => condition.text).join()
    const { atMs = -Infinity, conditions: shown } = this.#lastFrame ?? {}
    if (state.elapsedMs - atMs < (conditions === shown ? plainFrameEveryMs : plainChangeEveryMs)) return
    this.#lastFrame = { atMs: state.elapsedMs, conditions }
    this.print(`\n${renderState(state, this.#theme, { columns: plainColumns }).join('\n')}\n`)
  }
}
