import type { Readable } from 'node:stream'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { ApiServer, ApiServerFlags } from './api-server.ts'

/** The terminal on standard output. */
export interface Terminal {
  /** Colours the text, if the terminal's own rules allow it (NO_COLOR, FORCE_COLOR, TERM). */
  readonly paint: (color: Color, text: string) => string
  /** Its present size, in characters. */
  readonly size: () => { readonly columns: number; readonly rows: number }
}

export type Color = 'green' | 'yellow' | 'red' | 'bold'

/** What a command gets from the process. */
export interface CommandContext {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly random: Random
  readonly stdin: Readable
  /** @throws KubeconfigError */
  readonly openApiServer: (flags: ApiServerFlags) => ApiServer
  /** Writes to standard output. */
  readonly print: (text: string) => void
  /** Aborts when standard output takes nothing more, as after `| head`. */
  readonly outputClosed: AbortSignal
  /** Writes to standard error. */
  readonly printError: (text: string) => void
  /** Undefined: standard output is a file or a pipe. */
  readonly terminal?: Terminal | undefined
  /** Shows a text in the last line of the terminal on standard error; '': none. Undefined: no terminal is there. */
  readonly statusLine?: ((text: string) => void) | undefined
  /** Sets the exit code; the last call counts. */
  readonly exit: (code: number) => void
  /** Aborts on SIGTERM and SIGINT. */
  readonly signal: AbortSignal
}
