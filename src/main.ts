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
/** Commander prints no errors: `report` does, in one line each. */
const quiet = { outputError: () => undefined, writeErr: () => undefined }

/** Runs the command line. @returns the exit code */
async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0
  const stop = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      // A second signal exits at once.
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

/** Prints the error in one line. @returns the exit code @throws an error that is a bug */
function report(error: unknown): number {
  const isHelp = error instanceof CommanderError && error.exitCode === 0
  if (isHelp) return 0
  const isUsage = error instanceof CommanderError || error instanceof InvalidValueError || error instanceof UsageError
  const isWorded = error instanceof CommandError || error instanceof KubeconfigError || error instanceof ApiError
  if (!isUsage && !isWorded && !isSystemError(error)) throw error
  const text = withoutValues(error)
    .replace(/^error: /, '')
    .replaceAll(/\s*\n\s*/g, ' ')
  process.stderr.write(`enos-credential-operator: ${text === '(outputHelp)' ? 'no command given; see --help' : text}\n`)
  return isUsage ? usageError : 1
}

/** Commander's messages repeat unknown arguments, one of which may be a secret typed in the wrong place. */
function withoutValues(error: Error): string {
  const { message } = error
  const code = error instanceof CommanderError ? error.code : ''
  if (code === 'commander.unknownOption') return message.replace(/(unknown option '[^'=]*)=.*'/s, "$1'")
  if (code === 'commander.excessArguments') return message.replace(/( but got \d+):.*/s, '$1')
  return message
}

/** An error of the operating system, such as EADDRINUSE. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error
}

const exitCode = await main(process.argv.slice(2))
// Exits without waiting for open handles: nothing is left to be done in them.
process.stdout.write('', () => process.exit(exitCode))
