import { type DestinationStream, pino } from 'pino'
import pretty from 'pino-pretty'
import type { Log, LogFormat, LogLevel } from '../lib/log.ts'

export interface LoggerOptions {
  readonly level: LogLevel
  readonly format: LogFormat
  /** Default: standard output. */
  readonly destination?: DestinationStream
}

/** Needs no list of paths to redact: a secret is a Sensitive, which prints as `[redacted]`. */
export function createLogger({ level, format, destination }: LoggerOptions): Log {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  if (format === 'pretty') {
    return pino(options, pretty({ colorize: true, sync: true, ...(destination === undefined ? {} : { destination }) }))
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}
