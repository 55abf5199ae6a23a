import { colourTheme, plainTheme, renderHappening, renderScreen, renderState, type ScreenState } from './screen.ts'

/** What is needed of process.stdout. */
export interface Output {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
  write(text: string): unknown
}

const enter = '\x1b[?1049h\x1b[?25l\x1b[?7l'
const leave = '\x1b[?7h\x1b[?25h\x1b[?1049l'
/** Where frames do not replace each other, they are as far apart as this; or as that, where a condition changes. */
const plainFrameEveryMs = 10_000
const plainChangeEveryMs = 2000
const plainColumns = 100

/** Where the demo is shown: on a terminal as a screen that changes, elsewhere as lines. */
export class Terminal {
  readonly #output: Output
  readonly #isLive: boolean
  readonly #theme
  readonly #restore = (): void => this.end()
  #isEntered = false
  #toldHappenings = 0
  #lastFrame: { readonly atMs: number; readonly conditions: string } | undefined

  /** @param hasColour false draws without colours */
  constructor(output: Output, hasColour: boolean) {
    this.#output = output
    this.#isLive = output.isTTY === true
    this.#theme = this.#isLive && hasColour ? colourTheme : plainTheme
  }

  /** A line of its own, before the first frame or after `end`. */
  say(text: string): void {
    this.#output.write(`${text}\n`)
  }

  /** Shows the state as it is now. */
  draw(state: ScreenState): void {
    if (this.#isLive) this.#replaceScreen(state)
    else this.#addLines(state)
  }

  /** Gives the terminal back. */
  end(): void {
    if (!this.#isEntered) return
    this.#isEntered = false
    process.off('exit', this.#restore)
    this.#output.write(leave)
  }

  #replaceScreen(state: ScreenState): void {
    if (!this.#isEntered) {
      this.#isEntered = true
      // However the process ends, the terminal is left as it was.
      process.on('exit', this.#restore)
      this.#output.write(enter)
    }
    // A terminal that does not know its size says 0.
    const size = { columns: this.#output.columns || 80, rows: this.#output.rows || 24 }
    const frame = renderScreen(state, this.#theme, size)
    // Each line clears what the last frame had to its right, the last one all below.
    this.#output.write(`\x1b[H${frame.replaceAll('\n', '\x1b[K\n')}\x1b[K\x1b[J`)
  }

  #addLines(state: ScreenState): void {
    for (const happening of state.happenings.slice(this.#toldHappenings)) {
      this.say(renderHappening(happening, this.#theme))
    }
    this.#toldHappenings = state.happenings.length
    const conditions = state.targets.map(({ condition }) => condition.text).join()
    const { atMs = -Infinity, conditions: shown } = this.#lastFrame ?? {}
    if (state.elapsedMs - atMs < (conditions === shown ? plainFrameEveryMs : plainChangeEveryMs)) return
    this.#lastFrame = { atMs: state.elapsedMs, conditions }
    this.say(`\n${renderState(state, this.#theme, { columns: plainColumns }).join('\n')}\n`)
  }
}
