import { Command, CommanderError } from 'commander'
import { InvalidValueError } from '../config/flags.ts'
import { KubeconfigError } from '../kubernetes/kubeconfig-error.ts'
import { version } from '../version.ts'
import { checkCommand } from './check.ts'
import { completionCommand } from './completion.ts'
import type { CommandContext } from './context.ts'
import { CommandError, UsageError } from './errors.ts'
import { renewCommand } from './renew.ts'
import { runCommand } from './run.ts'
import { statusCommand } from './status.ts'

export interface ProgramContext extends Omit<CommandContext, 'exit'> {
  /** Of the terminal; default 80. */
  readonly columns?: number | undefined
}

const exitCodes = { failed: 1, usageError: 2 }

/** Runs a command line. @returns the exit code @throws an error that is a bug */
export async function runProgram(argv: readonly string[], context: ProgramContext): Promise<number> {
  let exitCode = 0
  const exit = (code: number): void => {
    exitCode = code
  }
  // `runProgram` prints the errors, in one line each.
  const output = {
    writeOut: context.print,
    outputError: () => undefined,
    writeErr: () => undefined,
    getOutHelpWidth: () => context.columns ?? 80,
  }
  const program = new Command('enos-credential-operator')
    .description('Keeps EnOS access tokens fresh in Kubernetes Secrets.')
    .version(version)
    .helpCommand('help [command]', 'show the help of a command')
    .exitOverride()
    .configureOutput(output)
  for (const make of [runCommand, checkCommand, renewCommand, statusCommand, completionCommand]) {
    program.addCommand(
      make({ ...context, exit })
        .exitOverride()
        .configureOutput(output),
    )
  }
  try {
    // commander takes `help help` for the help of an unknown command.
    await program.parseAsync(argv.join(' ') === 'help help' ? ['--help'] : argv, { from: 'user' })
    return exitCode
  } catch (error) {
    if (context.signal.aborted && error === context.signal.reason) return exitCodes.failed
    if (error instanceof CommanderError && error.exitCode === 0) return 0
    const isUsageError =
      error instanceof CommanderError || error instanceof InvalidValueError || error instanceof UsageError
    const isFailure = error instanceof CommandError || error instanceof KubeconfigError || isSystemError(error)
    if (!isUsageError && !isFailure) throw error
    const text = describeError(error, argv).replaceAll(/\s*\n\s*/g, ' ')
    context.printError(`enos-credential-operator: ${text}\n`)
    return isUsageError ? exitCodes.usageError : exitCodes.failed
  }
}

/** Commander's messages repeat unknown arguments, one of which may be a secret typed in the wrong place. */
function describeError(error: Error, [first, second]: readonly string[]): string {
  const message = error.message.replace(/^error: /, '')
  switch (error instanceof CommanderError ? error.code : '') {
    case 'commander.help':
      // commander shows the help of the program for `help` and an unknown command.
      return first === 'help' && second !== undefined ? `unknown command '${second}'` : 'no command given; see --help'
    case 'commander.unknownOption':
      // Also said of a flag without a value that is given one.
      return message.replace(/unknown option '([^'=]*)=.*'/s, "unknown option '$1', or one that takes no value")
    case 'commander.excessArguments':
      return message.replace(/( but got \d+):.*/s, '$1')
    default:
      return message
  }
}

/** An error of the operating system, such as ENOSPC. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error
}
