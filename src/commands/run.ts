import { Command, Option } from 'commander'
import { runOperator } from '../app.ts'
import { type Flag, type FlagName, runFlags, variableOf } from '../config/flags.ts'
import { parseRunConfig, type RunConfig } from '../config/run-config.ts'
import { CertificateFileError } from '../telemetry/metrics-certificate.ts'
import type { CommandContext } from './context.ts'
import { CommandError } from './errors.ts'

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
    const config = parseRunConfig(typedOf(options), environment)
    try {
      exit(await runOperator(config, signal))
    } catch (error) {
      if (error instanceof CertificateFileError) throw new CommandError(error.message)
      throw describeListenError(error, config) ?? error
    }
  })
}

/** Names the flag of the address that cannot be listened on. @returns undefined for another error */
export function describeListenError(
  error: unknown,
  { healthProbeBindAddress, metricsBindAddress }: Pick<RunConfig, 'healthProbeBindAddress' | 'metricsBindAddress'>,
): CommandError | undefined {
  if (!(error instanceof Error) || !('syscall' in error) || !/^(?:listen|getaddrinfo)$/.test(String(error.syscall))) {
    return undefined
  }
  const {
    code = 'unknown error',
    hostname,
    port,
  } = error as NodeJS.ErrnoException & { hostname?: string; port?: number }
  const flags = [
    ['--metrics-bind-address', metricsBindAddress],
    ['--health-probe-bind-address', healthProbeBindAddress],
  ] as const
  const found = flags.filter(([, address]) =>
    port === undefined ? address?.host === hostname : address?.port === port,
  )
  const address = found[0]?.[1]
  const named = found.map(([flag]) => flag).join(' and ')
  const words: Readonly<Record<string, string>> = {
    EADDRINUSE: found.length > 1 ? 'two addresses cannot share a port' : 'the port is in use',
    EADDRNOTAVAIL: 'this machine does not have the address',
    EACCES: 'the port needs privileges',
    ENOTFOUND: 'unknown host',
  }
  const at = address === undefined ? '' : ` on ${address.host ?? ''}:${address.port}`
  return new CommandError(
    `${named === '' ? 'bind address' : named}: cannot listen${at}: ${words[code] ?? 'failed'} (${code})`,
  )
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
