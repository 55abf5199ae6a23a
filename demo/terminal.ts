import { colourTheme, plainTheme, renderScreen, type ScreenState } from './screen.ts'

const enter = '\x1b[?1049h\x1b[?25l\x1b[?7l'
const leave = '\x1b[?7h\x1b[?25h\x1b[?1049l'

/** Where frames are drawn: over each other on a terminal, one below the other elsewhere. */
export class Terminal {
  readonly #stream: NodeJS.WriteStream
  readonly #isLive: boolean
  readonly #theme
  readonly #restore = (): void => this.end()
  #isEntered = false

  /** @param hasColour false draws without colours */
  constructor(stream: NodeJS.WriteStream, hasColour: boolean) {
    this.#stream = stream
    this.#isLive = stream.isTTY
    this.#theme = this.#isLive && hasColour ? colourTheme : plainTheme
  }

  /** How often a frame is worth drawing, in ms. */
  get frameEveryMs(): number {
    return this.#isLive ? 500 : 5000
  }

  /** A line of its own, before the first frame or after `end`. */
  say(text: string): void {
    this.#stream.write(`${text}\n`)
  }

  draw(state: ScreenState): void {
    const frame = renderScreen(state, this.#theme)
    if (!this.#isLive) {
      this.#stream.write(`\n${frame}\n`)
      return
    }
    if (!this.#isEntered) {
      this.#isEntered = true
      // However the process ends, the terminal is left as it was.
      process.on('exit', this.#restore)
      this.#stream.write(enter)
    }
    // Each line clears what the last frame had to its right, the last one all below.
    this.#stream.write(`\x1b[H${frame.replaceAll('\n', '\x1b[K\n')}\x1b[K\x1b[J`)
  }

  /** Gives the terminal back. */
  end(): void {
    if (!this.#isEntered) return
    this.#isEntered = false
    process.off('exit', this.#restore)
    this.#stream.write(leave)
  }
}
