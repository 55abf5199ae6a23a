import { type DestinationStream, pino } from 'pino'
import pretty from 'pino-pretty'
import type { Log, LogFormat, LogLevel } from '../lib/log.ts'
import { LogOutput } from './log-output.ts'

export interface LoggerOptions {
  readonly level: LogLevel
  readonly format: LogFormat
  readonly destination: DestinationStream
  /** Of the format pretty. */
  readonly usesColours?: boolean
}

/** Needs no list of paths to redact: a secret is a Sensitive, which prints as `[redacted]`. */
export function createLogger({ level, format, destination, usesColours = false }: LoggerOptions): Log {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  const log = pino(options, format === 'pretty' ? prettyStream(destination, usesColours) : destination)
  if (destination instanceof LogOutput) {
    destination.reportDropped((dropped) => {
      log.warn({ dropped }, 'standard output was blocked, log lines dropped')
    })
  }
  return log
}

/** One line a message. pino-pretty's own option for that still writes errors over several lines. */
function prettyStream(destination: DestinationStream, usesColours: boolean): DestinationStream {
  return pretty({
    colorize: usesColours,
    sync: true,
    hideObject: true,
    messageFormat: (log, messageKey, _level, { colors }) => {
      const text = colors.cyan(String(log[messageKey]))
      const fields = Object.entries(log).filter(([key]) => !['level', 'time', messageKey].includes(key))
      return fields.length === 0 ? text : `${text} ${colors.gray(JSON.stringify(Object.fromEntries(fields)))}`
    },
    destination,
  })
}
