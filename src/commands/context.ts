import type { Readable } from 'node:stream'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'

/** What a command has of the world. */
export interface CommandContext {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly random: Random
  readonly stdin: Readable
  /** Writes to standard output. */
  readonly print: (text: string) => void
  /** Sets the exit code; the last call counts. */
  readonly exit: (code: number) => void
  /** Aborts on SIGTERM and SIGINT. */
  readonly signal: AbortSignal
}

/** Something that could not be done, in words. Exit code 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

/** Something that the user typed, or that is missing, and how to put it right. Exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
