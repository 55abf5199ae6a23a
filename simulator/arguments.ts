import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { parseDuration } from '../src/lib/duration.ts'
import { faultKinds } from './faults.ts'

const refreshBehaviours = [
  'keeps-old',
  'kills-old',
  'same-token',
  'no-prolong',
  'missing',
  'missing-405',
  'missing-status',
] as const

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
  /** In ms; 0 accepts any timestamp. */
  readonly clockWindow: number
  /** File with a JSON object of header values by name. */
  readonly requiredHeaders?: string
  readonly refresh: (typeof refreshBehaviours)[number]
  readonly edge?: true
  readonly basePath: string
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly admin: boolean
}

/** An invalid argument or input file. The message is one line and holds no secret. */
export class UsageError extends Error {}

const description = [
  'A simulated EnOS token service, for tests, demos and development without EnOS.',
  'When the simulator listens, it prints its url as one line of JSON. SIGTERM and SIGINT end it. Applications come from ' +
    '--applications, else from the environment variable ENOS_SIMULATOR_APPLICATIONS (both JSON, ' +
    '[{"appKey": "…", "appSecret": "…"}]), else the simulator generates one.',
  'Every path but …/apim-token-service/… and /simulator/ is an API that verifies the token of a consumer: signed ' +
    '(apim-accesstoken, apim-timestamp, apim-signature), apim-accesstoken alone, or Authorization: Bearer.',
  'Headers of --required-headers, else of the environment variable ENOS_SIMULATOR_REQUIRED_HEADERS, are demanded as by ' +
    'a proxy in front of the gateway: a call without them is answered with HTTP 401.',
].join('\n\n')

const epilogue = `
Examples:
  enos-gateway-simulator --lifetime 30s --print-applications
  enos-gateway-simulator --any-application --port 0 --latency 50ms
  enos-gateway-simulator --applications applications.json --refresh kills-old

Administration (unless --no-admin), with JSON bodies:
  GET  /simulator/state, /simulator/calls, /simulator/consumer-calls, /simulator/applications
  PUT  /simulator/faults        [{"operation": "get", "count": 3, "fault": {"kind": "status", "status": 1005}}]
  PUT  /simulator/outage        {"seconds": 30}
  PUT  /simulator/applications  {"appKey": "…", "appSecret": "…"}
  PUT  /simulator/required-headers  {"Ocp-Apim-Subscription-Key": "…"}
  POST /simulator/revoke        {"appKey": "…"}
  POST /simulator/is-valid      {"token": "…"}

Kinds of fault:
  ${faultKinds.slice(0, 9).join(', ')},
  ${faultKinds.slice(9).join(', ')}`

/**
 * @param argv the arguments alone, without program and script
 * @returns undefined after help was printed
 * @throws UsageError
 */
export function parseArguments(argv: readonly string[]): Arguments | undefined {
  const command = new Command('enos-gateway-simulator')
    .description(description)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <number>', 'port to listen on; 0 picks a free one', wholeNumber(0, 65_535), 8090)
    .option('--applications <file>', 'file with the applications')
    .option(
      '--generate <number>',
      'number of applications to generate (default: 1 where none are given)',
      wholeNumber(1, 1_000_000),
    )
    .option('--print-applications', 'print generated applications with their appSecrets, beside the url')
    .option('--any-application', 'accept any appKey; its appSecret is "secret-of-<appKey>" (for load tests)')
    .option('--lifetime <duration>', 'lifetime of a new token: whole seconds, or a duration like 30s', lifetime, 7200)
    .option('--latency <duration>', 'delay of every answer, like 50ms', duration, 0)
    .addOption(
      new Option(
        '--refresh <behaviour>',
        'effect of a refresh on the old token; missing: no refresh (HTTP 404, HTTP 405, or status 404 with HTTP 200)',
      )
        .choices(refreshBehaviours)
        .default('keeps-old'),
    )
    .addOption(
      new Option('--clock-window <duration>', "accept timestamps this far off the gateway's clock; 0s accepts any")
        .argParser(duration)
        .default(5 * 60_000, '5m'),
    )
    .option('--required-headers <file>', 'file with headers that every call must have, in JSON: {"name": "value"}')
    .option('--edge', 'name the service as EnOS Edge does')
    .option('--base-path <path>', 'path in front of the token service, like /enos', basePath, '')
    .option('--tls-cert <file>', 'serve https with this certificate (PEM)')
    .option('--tls-key <file>', 'private key of --tls-cert (PEM)')
    .option('--no-admin', 'do not serve /simulator/')
    .addHelpText('after', epilogue)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({
      outputError: () => {
        // The error is thrown as well, and its catcher prints it.
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
    throw new UsageError('--tls-cert and --tls-key go together: expected both, seen one')
  }
  return options
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`expected a whole number from ${min} to ${max}`)
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
  // The token service answers lifetimes in whole seconds, and the operator accepts at most 366 days.
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 366 * 86_400) {
    throw new InvalidArgumentError('expected whole seconds, from 1 to 366 days')
  }
  return seconds
}

function basePath(text: string): string {
  if (!/^\/[\w./~-]*$/.test(text)) throw new InvalidArgumentError('expected a path like /enos')
  return text
}
