import { type DestinationStream, type Logger, pino } from 'pino'
import pretty from 'pino-pretty'

/** Structured log: `log.info({ namespace, name }, 'constant message')`. Variable parts are fields, never in the message. */
export type Log = Pick<Logger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'child'>

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const
export const logFormats = ['json', 'pretty'] as const

export interface LoggerOptions {
  readonly level: (typeof logLevels)[number]
  readonly format: (typeof logFormats)[number]
  /** Default: standard output. */
  readonly destination?: DestinationStream
}

/** Secrets need no list of paths here: they travel as Sensitive, which prints `[redacted]` wherever it ends up. */
export function createLogger({ level, format, destination }: LoggerOptions): Log {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  if (format === 'pretty')
    return pino(options, pretty({ colorize: true, sync: true, ...(destination === undefined ? {} : { destination }) }))
  return destination === undefined ? pino(options) : pino(options, destination)
}
