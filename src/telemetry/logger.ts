import { Socket } from 'node:net'
import { type DestinationStream, pino } from 'pino'
import pretty from 'pino-pretty'
import type { Log, LogFormat, LogLevel } from '../lib/log.ts'
import { LogOutput } from './log-output.ts'

export interface LoggerOptions {
  readonly level: LogLevel
  readonly format: LogFormat
  /** Default: standard output. */
  readonly destination?: DestinationStream
}

/** Needs no list of paths to redact: a secret is a Sensitive, which prints as `[redacted]`. */
export function createLogger({ level, format, destination = standardOutput() }: LoggerOptions): Log {
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
      ? pino(options, pretty({ colorize: true, sync: true, ...(output === undefined ? {} : { destination: output }) }))
      : pino(options, ...(output === undefined ? [] : [output]))
  function reportDropped(dropped: number): void {
    log.warn({ dropped }, 'standard output was blocked, log lines dropped')
  }
  return log
}

/** Pipes and terminals, which can block. Undefined for a file, where pino's own synchronous write is right. */
function standardOutput(): Socket | undefined {
  const { stdout } = process
  return stdout instanceof Socket ? stdout : undefined
}
