import { Command, Option } from 'commander'
import { runOperator } from '../app.ts'
import { type Flag, type FlagName, runFlags, variableOf } from '../config/flags.ts'
import { parseRunConfig } from '../config/run-config.ts'
import type { CommandContext } from './context.ts'

const examples = `
Examples:
  enos-credential-operator run
  enos-credential-operator run --namespace plant-a --namespace plant-b --log-format pretty
  enos-credential-operator run --no-leader-elect --metrics-bind-address 127.0.0.1:0
  ENOS_ALLOWED_GATEWAYS='apim.example.com,*.edge.example.com:8443' enos-credential-operator run

Each flag can also be set by an environment variable: ENOS_ and the name in capitals; lists are separated by commas.
Calls to gateways use HTTPS_PROXY, HTTP_PROXY and NO_PROXY.`

/** `run`: the operator. */
export function runCommand({ environment, exit, signal }: CommandContext): Command {
  const command = new Command('run').description('run the operator').addHelpText('after', examples)
  for (const flag of runFlags) command.addOption(optionOf(flag))
  command.addOption(new Option('--no-leader-elect', 'run without a Lease: for a single replica, or outside a cluster'))
  return command.action(async (options: Record<string, string | string[] | boolean | undefined>) => {
    exit(await runOperator(parseRunConfig(typedOf(options), environment), signal))
  })
}

function optionOf(flag: Flag): Option {
  const flags = flag.placeholder === undefined ? `--${flag.name} [true|false]` : `--${flag.name} ${flag.placeholder}`
  const hint = flag.default === '' ? '' : ` (default: ${flag.default})`
  const option = new Option(flags, `${flag.description}${hint} [${variableOf(flag.name)}]`)
  return flag.isList === true
    ? option.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value])
    : option
}

/** The given options, keyed by the names of the flags. */
export function typedOf(
  options: Record<string, string | string[] | boolean | undefined>,
): Parameters<typeof parseRunConfig>[0] {
  const typed: Partial<Record<FlagName, string | string[]>> = {}
  for (const { name } of runFlags) {
    const value = options[name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())]
    if (value !== undefined) typed[name] = typeof value === 'boolean' ? String(value) : value
  }
  return typed
}
