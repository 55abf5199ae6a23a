import { constants, openSync, write, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { WriteStream } from 'node:tty'
import type { RunConfig } from '../config/run-config.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { LogOutput, type LogSink } from './log-output.ts'
import { createLogger } from './logger.ts'

/** The operator's log, on standard output. */
export function openLog(
  { logFormat, logLevel, usesLogColours }: Pick<RunConfig, 'logFormat' | 'logLevel' | 'usesLogColours'>,
  process: NodeJS.Process,
  clock: Clock,
): { readonly log: Log; readonly logOutput: LogOutput } {
  const logOutput = openStandardOutput(process, clock)
  const log = createLogger({
    level: logLevel,
    format: logFormat,
    destination: logOutput,
    usesColours: usesLogColours ?? process.stdout.isTTY,
  })
  return { log, logOutput }
}

function openStandardOutput(process: NodeJS.Process, clock: Clock): LogOutput {
  const output = new LogOutput(sinkOf(process.stdout), clock)
  process.once('exit', () => {
    output.writeLast()
  })
  return output
}

function sinkOf(stdout: NodeJS.Process['stdout']): LogSink {
  // As the getter of process.stdout decides: no Socket is there for a file or a device.
  if (!(stdout instanceof Socket)) return fileSink(1)
  return (stdout instanceof WriteStream ? terminalSink() : undefined) ?? streamSink(stdout)
}

/**
 * A terminal, opened once more, because Node.js waits for it on the thread: Ctrl-S would stop the operator.
 *
 * @returns undefined if the system does not let it be opened
 */
function terminalSink(): LogSink | undefined {
  try {
    return fileSink(openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY))
  } catch {
    return undefined
  }
}

/** A file, a device or a terminal. A disk that is full, and any other error, may pass. */
function fileSink(descriptor: number): LogSink {
  return {
    write: (bytes, done) => {
      write(descriptor, bytes, 0, bytes.length, null, (error, written) => {
        done(error === null && written > 0 ? written : 'later')
      })
    },
    writeLast: (bytes) => {
      try {
        writeSync(descriptor, bytes)
      } catch {
        // The process exits: nothing is left to be done for these lines.
      }
    },
  }
}

/**
 * A pipe or a socket, which Node.js writes without waiting. An error is final: it destroys the stream. The callback of the
 * write gets it; main.ts ignores the event.
 */
function streamSink(stream: Socket): LogSink {
  return {
    write: (bytes, done) => {
      stream.write(bytes, (error) => {
        done(error == null ? bytes.length : 'never')
      })
    },
    writeLast: (bytes) => {
      stream.write(bytes)
    },
  }
}
