import './node-version.ts'
import { styleText } from 'node:util'
import { openApiServer } from './commands/api-server.ts'
import { CommandOutput } from './commands/command-output.ts'
import { runProgram } from './commands/program.ts'
import { SystemClock } from './lib/clock.ts'
import { systemRandom } from './lib/random.ts'

const stop = new AbortController()
for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(name, () => {
    // A second signal exits at once.
    if (stop.signal.aborted) process.exit(1)
    stop.abort(new Error(name))
  })
}
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', () => {
    // CommandOutput and LogOutput see it in the callbacks of their writes, and standard error has no place for it.
  })
}

const output = new CommandOutput(process.stdout)
const clock = new SystemClock()
const environment = process.env
const exitCode = await runProgram(process.argv.slice(2), {
  environment,
  clock,
  random: systemRandom,
  stdin: process.stdin,
  openApiServer: (flags) => openApiServer({ clock, environment }, flags),
  print: (text) => {
    output.print(text)
  },
  outputClosed: output.closed,
  printError: (text) => process.stderr.write(text),
  columns: process.stdout.columns,
  terminal: process.stdout.isTTY
    ? {
        paint: (color, text) => styleText(color, text, { stream: process.stdout }),
        // A terminal that does not know its size says 0.
        size: () => ({ columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 }),
      }
    : undefined,
  statusLine:
    process.stderr.isTTY && environment['TERM'] !== 'dumb'
      ? // Cut, so that it is one line, which the next one erases.
        (text) => process.stderr.write(`\r\u001b[K${text.slice(0, (process.stderr.columns || 80) - 1)}`)
      : undefined,
  signal: stop.signal,
})
// The log must not hold up the exit of `run`. The output of other commands waits for its reader, such as a pager.
if (process.argv[2] === 'run') clock.setTimer(500, () => process.exit(exitCode))
const failure = await output.end()
if (failure !== undefined) process.stderr.write(`enos-credential-operator: standard output: ${failure}\n`)
// Exits without waiting for open handles: nothing is left to be done in them.
process.exit(failure === undefined ? exitCode : exitCode || 1)
