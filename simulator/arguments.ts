import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { parseDuration } from '../src/lib/duration.ts'

export interface Arguments {
  readonly host: string
  readonly port: number
  /** File with a JSON list of {appKey, appSecret}. */
  readonly applications?: string
  readonly generate?: number
  readonly printApplications?: true
  readonly anyApplication?: true
  /** In seconds. */
  readonly lifetime: number
  /** In ms. */
  readonly latency: number
  readonly refresh: 'kills-old' | 'keeps-old' | 'same-token' | 'missing'
  readonly edge?: true
  readonly basePath: string
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly admin: boolean
}

/** A mistake of who started the program; the message is one line and holds no secret. */
export class UsageError extends Error {}

const description = [
  'A simulated EnOS token service, for tests, demos and work without EnOS.',
  'It prints one line of JSON with its url when it listens, and ends on SIGTERM or SIGINT. Its applications come from ' +
    '--applications, else from the environment variable ENOS_SIMULATOR_APPLICATIONS (both JSON, ' +
    '[{"appKey": "…", "appSecret": "…"}]), else they are generated.',
].join('\n\n')

const epilogue = `
Examples:
  enos-gateway-simulator --lifetime 30s --print-applications
  enos-gateway-simulator --any-application --port 0 --latency 50ms
  enos-gateway-simulator --applications applications.json --refresh kills-old

Look inside and cause trouble (without --no-admin), with JSON bodies:
  GET  /simulator/state, /simulator/calls, /simulator/applications
  PUT  /simulator/faults        [{"operation": "get", "count": 3, "fault": {"kind": "status", "status": 1005}}]
  PUT  /simulator/outage        {"seconds": 30}
  PUT  /simulator/applications  {"appKey": "…", "appSecret": "…"}
  POST /simulator/revoke        {"appKey": "…"}
  POST /simulator/is-valid      {"token": "…"}
Kinds of fault: status, http, reset, hang, hangBody, truncate, slow, drip, large, expire.`

/**
 * @param argv the arguments alone, without program and script
 * @returns undefined when help was asked for, and printed
 * @throws UsageError
 */
export function readArguments(argv: readonly string[]): Arguments | undefined {
  const command = new Command('enos-gateway-simulator')
    .description(description)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <number>', 'port to listen on; 0 picks a free one', wholeNumber(0, 65_535), 8090)
    .option('--applications <file>', 'file with the applications')
    .option('--generate <number>', 'generate this many applications (default: 1)', wholeNumber(1, 1_000_000))
    .option('--print-applications', 'print generated applications with their appSecrets, beside the url')
    .option('--any-application', 'accept any appKey; its appSecret is "secret-of-<appKey>" (for load tests)')
    .option('--lifetime <duration>', 'life of a new token: whole seconds, or a duration like 30s', lifetime, 7200)
    .option('--latency <duration>', 'every answer takes this long, like 50ms', duration, 0)
    .addOption(
      new Option('--refresh <behaviour>', 'what a refresh does to the old token, or that there is no refresh')
        .choices(['keeps-old', 'kills-old', 'same-token', 'missing'])
        .default('keeps-old'),
    )
    .option('--edge', 'answer as EnOS Edge does')
    .option('--base-path <path>', 'path before that of the token service, like /enos', basePath, '')
    .option('--tls-cert <file>', 'serve https with this certificate (PEM)')
    .option('--tls-key <file>', 'the key of --tls-cert (PEM)')
    .option('--no-admin', 'do not serve /simulator/')
    .addHelpText('after', epilogue)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({
      outputError: () => {
        // Thrown as well; printed once, by who catches it.
      },
    })
  try {
    command.parse(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return undefined
    throw new UsageError(error.message.replace(/^error: /, '').replace(/\s+/g, ' '))
  }
  const options = command.opts<Arguments>()
  if ((options.tlsCert === undefined) !== (options.tlsKey === undefined)) {
    throw new UsageError('--tls-cert and --tls-key go together: only one of them was given')
  }
  return options
}

function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`expected a whole number from ${least} to ${most}`)
    }
    return value
  }
}

function duration(text: string): number {
  try {
    return parseDuration(text)
  } catch (error) {
    if (error instanceof RangeError) throw new InvalidArgumentError('expected a duration like 250ms, 10s or 1h30m')
    throw error
  }
}

function lifetime(text: string): number {
  const seconds = /^\d+$/.test(text) ? Number(text) : duration(text) / 1000
  // The service tells a token's life in whole seconds, and the operator takes up to a year.
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 366 * 86_400) {
    throw new InvalidArgumentError('expected whole seconds, from 1 to 366 days')
  }
  return seconds
}

function basePath(text: string): string {
  if (!/^\/[\w./~-]*$/.test(text)) throw new InvalidArgumentError('expected a path like /enos')
  return text
}
