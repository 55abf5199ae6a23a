import './node-version.ts'
import { Command, CommanderError } from 'commander'
import { InvalidValueError } from './config/flags.ts'
import { checkCommand } from './commands/check.ts'
import { renewCommand } from './commands/renew.ts'
import { runCommand } from './commands/run.ts'
import { statusCommand } from './commands/status.ts'
import { type CommandContext, CommandError, UsageError } from './commands/context.ts'
import { ApiError } from './kubernetes/errors.ts'
import { KubeconfigError } from './kubernetes/kubeconfig.ts'
import { SystemClock } from './lib/clock.ts'
import { systemRandom } from './lib/random.ts'
import { version } from './version.ts'

const usageError = 2
const stoppedEarly = 1
/** What is wrong is said in one line, by `report`. */
const quiet = { outputError: () => undefined, writeErr: () => undefined }

/** Runs the command line. @returns the exit code */
async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0
  const stop = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      // Who asks twice does not want to wait.
      if (stop.signal.aborted) process.exit(1)
      stop.abort(new Error(name))
    })
  }
  const context: CommandContext = {
    environment: process.env,
    clock: new SystemClock(),
    random: systemRandom,
    stdin: process.stdin,
    print: (text) => process.stdout.write(text),
    exit: (code) => {
      exitCode = code
    },
    signal: stop.signal,
  }
  const program = new Command('enos-credential-operator')
    .description('Keeps EnOS access tokens fresh in Kubernetes Secrets.')
    .version(version)
    .helpCommand(false)
    .exitOverride()
    .configureOutput(quiet)
  for (const command of [runCommand, checkCommand, renewCommand, statusCommand].map((make) => make(context))) {
    command.exitOverride().configureOutput(quiet)
    program.addCommand(command)
  }
  try {
    await program.parseAsync(argv, { from: 'user' })
    return exitCode
  } catch (error) {
    return stop.signal.aborted && error === stop.signal.reason ? stoppedEarly : report(error)
  }
}

/** One line that says what is wrong. */
function report(error: unknown): number {
  const isHelp = error instanceof CommanderError && error.exitCode === 0
  if (isHelp) return 0
  const isUsage = error instanceof CommanderError || error instanceof InvalidValueError || error instanceof UsageError
  const isWorded = error instanceof CommandError || error instanceof KubeconfigError || error instanceof ApiError
  if (!isUsage && !isWorded && !isSystemError(error)) throw error
  const text = withoutValues(error)
    .replace(/^error: /, '')
    .replaceAll(/\s*\n\s*/g, ' ')
  process.stderr.write(`enos-credential-operator: ${text === '(outputHelp)' ? 'name a command; see --help' : text}\n`)
  return isUsage ? usageError : 1
}

/** What commander does not understand it repeats; that may be a secret which was typed where none belongs. */
function withoutValues(error: Error): string {
  const { message } = error
  const code = error instanceof CommanderError ? error.code : ''
  if (code === 'commander.unknownOption') return message.replace(/(unknown option '[^'=]*)=.*'/s, "$1'")
  if (code === 'commander.excessArguments') return message.replace(/( but got \d+):.*/s, '$1')
  return message
}

/** Of the operating system: a port that is in use, say. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error
}

const exitCode = await main(process.argv.slice(2))
// What is still open holds nothing that matters; the exit code must not wait for it.
process.stdout.write('', () => process.exit(exitCode))
