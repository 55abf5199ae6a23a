import { Socket } from 'node:net'
import { WriteStream } from 'node:tty'
import { type DestinationStream, pino } from 'pino'
import pretty from 'pino-pretty'
import type { Log, LogFormat, LogLevel } from '../lib/log.ts'
import { LogOutput } from './log-output.ts'

export interface LoggerOptions {
  readonly level: LogLevel
  readonly format: LogFormat
  /** Default: standard output. */
  readonly destination?: DestinationStream
  /** Of the format pretty. Default: on a terminal. */
  readonly usesColours?: boolean | undefined
}

/** Needs no list of paths to redact: a secret is a Sensitive, which prints as `[redacted]`. */
export function createLogger({
  level,
  format,
  destination = standardOutput(),
  usesColours = destination instanceof WriteStream && destination.isTTY,
}: LoggerOptions): Log {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  const output =
    destination instanceof Socket ? new LogOutput(destination, { onRecovered: reportDropped }) : destination
  const log =
    format === 'pretty'
      ? pino(options, prettyStream(output, usesColours))
      : pino(options, ...(output === undefined ? [] : [output]))
  function reportDropped(dropped: number): void {
    log.warn({ dropped }, 'standard output was blocked, log lines dropped')
  }
  return log
}

/** One line a message. pino-pretty's own option for that still writes errors over several lines. */
function prettyStream(output: DestinationStream | undefined, usesColours: boolean): DestinationStream {
  return pretty({
    colorize: usesColours,
    sync: true,
    hideObject: true,
    messageFormat: (log, messageKey, _level, { colors }) => {
      const text = colors.cyan(String(log[messageKey]))
      const fields = Object.entries(log).filter(([key]) => !['level', 'time', messageKey].includes(key))
      return fields.length === 0 ? text : `${text} ${colors.gray(JSON.stringify(Object.fromEntries(fields)))}`
    },
    ...(output === undefined ? {} : { destination: output }),
  })
}

/** Pipes and terminals, which can block. Undefined for a file, where pino's own synchronous write is right. */
function standardOutput(): Socket | undefined {
  const { stdout } = process
  return stdout instanceof Socket ? stdout : undefined
}
