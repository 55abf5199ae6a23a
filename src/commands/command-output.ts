import { writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { getSystemErrorMessage } from 'node:util'

/** Standard output of a command, which tells when not all of it could be written. */
export class CommandOutput {
  readonly #stream: NodeJS.Process['stdout']
  readonly #closing = new AbortController()
  #failure: NodeJS.ErrnoException | undefined

  constructor(stream: NodeJS.Process['stdout']) {
    this.#stream = stream
  }

  /** Aborts when nothing more can be written. */
  get closed(): AbortSignal {
    return this.#closing.signal
  }

  /** Waits for a file, not for the reader of a pipe or terminal. */
  print(text: string): void {
    if (this.#failure !== undefined) return
    if (this.#stream instanceof Socket) {
      this.#stream.write(text, (error) => {
        this.#onWritten(error)
      })
      return
    }
    try {
      // The stream of a file takes a part that was written for the whole.
      writeFileSync(1, Buffer.from(text))
    } catch (error) {
      this.#onWritten(error as NodeJS.ErrnoException)
    }
  }

  /** Waits for the reader. @returns why not all was written; undefined also if the reader has left, as `head` does */
  async end(): Promise<string | undefined> {
    await new Promise((resolve) => this.#stream.write('', resolve))
    const { code, errno, message } = this.#failure ?? {}
    if (code === undefined || code === 'EPIPE' || code === 'ECONNRESET') return undefined
    return errno === undefined ? message : getSystemErrorMessage(errno)
  }

  #onWritten(error: NodeJS.ErrnoException | null | undefined): void {
    if (error == null) return
    this.#failure ??= error
    this.#closing.abort()
  }
}
