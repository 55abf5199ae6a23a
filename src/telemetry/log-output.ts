import { Writable } from 'node:stream'

/** The output that waits for a slow reader: some thousand lines. */
const maxPendingBytes = 1024 * 1024

export interface LogOutputOptions {
  /** Called when the stream takes lines again, with the number of lines that were dropped. */
  readonly onRecovered: (dropped: number) => void
}

/**
 * Writes lines to a pipe or terminal without ever holding up the process: while the reader is stopped, lines beyond
 * 1 MiB are dropped, and once the reader is gone, all are. A synchronous write would instead wait in a loop until the
 * reader goes on, in which no token is renewed, no probe is answered and no signal is handled.
 */
export class LogOutput extends Writable {
  readonly #stream: Writable
  readonly #options: LogOutputOptions
  #dropped = 0
  #isBroken = false

  constructor(stream: Writable, options: LogOutputOptions) {
    super({ decodeStrings: false })
    this.#stream = stream
    this.#options = options
    stream.on('error', () => {
      // The reader is gone, so there is no place left to report this.
      this.#isBroken = true
    })
  }

  override _write(line: string | Buffer, _encoding: string, done: () => void): void {
    if (!this.#isBroken) this.#writeOrDrop(line)
    done()
  }

  #writeOrDrop(line: string | Buffer): void {
    if (this.#stream.writableLength > maxPendingBytes) {
      this.#dropped++
      return
    }
    this.#stream.write(line)
    if (this.#dropped === 0) return
    const dropped = this.#dropped
    this.#dropped = 0
    this.#options.onRecovered(dropped)
  }
}
