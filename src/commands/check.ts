import { readFile } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { text as readText } from 'node:stream/consumers'
import { Command, Option } from 'commander'
import { normaliseGatewayUrl, parseSpec } from '../api/v1alpha1/credential.ts'
import { proxyOf } from '../config/run-config.ts'
import { GatewayDispatchers } from '../enos/gateway-dispatchers.ts'
import { Timestamps } from '../enos/timestamps.ts'
import { TokenClient, type TokenRequest } from '../enos/token-client.ts'
import { ApiError, isNotFound } from '../kubernetes/errors.ts'
import {
  configMaps,
  credentials,
  type KubernetesClient,
  type KubernetesObject,
  type ObjectRef,
  secrets,
} from '../kubernetes/types.ts'
import { parseDuration } from '../lib/duration.ts'
import { Sensitive } from '../lib/sensitive.ts'
import { isProblem, sourceRefs } from '../reconcile/observed.ts'
import { readSources, type SourceObject } from '../reconcile/read-sources.ts'
import { failedStep, gatewaySteps, isGood, ok, renderSteps, type Step } from './check-report.ts'
import { type CommandContext, UsageError } from './context.ts'
import { connectAs, durationOf, kubeconfigOption, outputOption, userAgent } from './options.ts'
import { parseResourceRef } from './resource-ref.ts'

const examples = `
Examples:
  enos-credential-operator check --resource plant-a/wind-farm
  enos-credential-operator check --resource wind-farm --refresh --output json
  ENOS_APP_KEY=… ENOS_APP_SECRET=… enos-credential-operator check --gateway https://apim.example.com
  enos-credential-operator check --gateway https://apim.example.com --app-key-file key.txt --app-secret-file - < secret.txt

appKey and appSecret are never arguments: they would be seen in the list of processes. Exit codes: 0 all works,
1 something does not, 2 the command cannot be understood. HTTPS_PROXY, HTTP_PROXY and NO_PROXY are respected.`

interface CheckOptions {
  readonly gateway?: string
  readonly resource?: string
  readonly kubeconfig?: string
  readonly appKeyFile?: string
  readonly appSecretFile?: string
  readonly caFile?: string
  readonly allowInsecureHttp?: boolean
  readonly timeout?: string
  readonly refresh?: boolean
  readonly output: 'text' | 'json'
}

type Request = Omit<TokenRequest, 'refresh'>

/** Tries a credential against its gateway, and says in words what works. */
export function checkCommand(context: CommandContext): Command {
  return new Command('check')
    .description('try a credential against its gateway, and say what works')
    .addOption(
      new Option('--resource <[namespace/]name>', 'check what this EnosAppCredential has').conflicts('gateway'),
    )
    .addOption(kubeconfigOption())
    .option('--gateway <url>', 'check this gateway, with an appKey and appSecret from files or the environment')
    .option('--app-key-file <file>', 'file with the appKey, - for standard input (default: ENOS_APP_KEY)')
    .option('--app-secret-file <file>', 'file with the appSecret, - for standard input (default: ENOS_APP_SECRET)')
    .option('--ca-file <file>', 'CA certificates (PEM) to trust besides the system’s')
    .option('--allow-insecure-http', 'allow a gateway with http://: appKey and token then travel in clear')
    .option('--timeout <duration>', 'time allowed for one call (default: that of the resource, or 10s)')
    .option('--refresh', 'try a refresh too; on some gateways that ends the life of the present token')
    .addOption(outputOption())
    .addHelpText('after', examples)
    .action(async (options: CheckOptions) => {
      const steps = await check(context, options)
      context.print(
        options.output === 'json' ? `${JSON.stringify({ ok: isGood(steps), steps }, null, 2)}\n` : renderSteps(steps),
      )
      context.exit(isGood(steps) ? 0 : 1)
    })
}

async function check(context: CommandContext, options: CheckOptions): Promise<Step[]> {
  const timeoutMs = options.timeout === undefined ? undefined : durationOf('--timeout', options.timeout)
  if (options.resource === undefined)
    return await callGateway(context, await typedRequest(context, options, timeoutMs), options)

  const { appKeyFile, appSecretFile, caFile, kubeconfig, resource } = options
  if (appKeyFile !== undefined || appSecretFile !== undefined || caFile !== undefined) {
    throw new UsageError('--app-key-file, --app-secret-file and --ca-file go with --gateway, not with --resource')
  }
  const connection = connectAs(context, kubeconfig)
  try {
    const ref = parseResourceRef(resource, connection.currentNamespace)
    const { request, steps } = await readResource(connection.client, ref, timeoutMs)
    return request === undefined ? steps : [...steps, ...(await callGateway(context, request, options))]
  } finally {
    await connection.close()
  }
}

/** From flags, environment and standard input. @throws UsageError */
async function typedRequest(
  { environment, stdin }: CommandContext,
  { allowInsecureHttp, appKeyFile, appSecretFile, caFile, gateway }: CheckOptions,
  timeoutMs = 10_000,
): Promise<Request> {
  if (gateway === undefined) throw new UsageError('name what to check: --resource namespace/name, or --gateway URL')
  if (appKeyFile === '-' && appSecretFile === '-') {
    throw new UsageError('--app-key-file and --app-secret-file cannot both be read from standard input')
  }
  // The resource's own rules for a gateway are the rules here too.
  const rest = { appKeyRef: { name: 'x' }, appSecretRef: { name: 'x' }, targets: [{ name: 'y' }] }
  const parsed = parseSpec('x', { ...rest, gateway: { url: gateway, allowInsecureHTTP: allowInsecureHttp === true } })
  if (!parsed.ok) {
    const problem = (parsed.problems[0] ?? '').replace(/^spec\.gateway(?:\.url)?: /, '')
    throw new UsageError(`--gateway: ${problem.replace('allowInsecureHTTP: true', '--allow-insecure-http')}`)
  }
  const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8')
  return {
    gatewayUrl: normaliseGatewayUrl(gateway),
    appKey: await secretOf('--app-key-file', appKeyFile, 'ENOS_APP_KEY', environment, stdin),
    appSecret: await secretOf('--app-secret-file', appSecretFile, 'ENOS_APP_SECRET', environment, stdin),
    timeoutMs,
    ...(ca === undefined ? {} : { ca }),
  }
}

async function secretOf(
  flag: string,
  file: string | undefined,
  variable: string,
  environment: CommandContext['environment'],
  stdin: Readable,
): Promise<Sensitive> {
  const given =
    file === undefined ? environment[variable] : file === '-' ? await readText(stdin) : await readFile(file, 'utf8')
  const value = (given ?? '').replace(/[\r\n]+$/, '')
  if (value === '')
    throw new UsageError(file === undefined ? `${variable} is not set; set it, or use ${flag}` : `${flag} is empty`)
  return new Sensitive(value)
}

/** From the resource and what it refers to, with the rights of whoever runs this. */
async function readResource(
  client: KubernetesClient,
  ref: ObjectRef,
  timeoutMs: number | undefined,
): Promise<{ readonly steps: Step[]; readonly request?: Request }> {
  const named = `EnosAppCredential ${ref.namespace}/${ref.name}`
  const resource = await find<KubernetesObject & { readonly spec?: unknown }>(() => client.get(credentials, ref))
  if (resource === undefined) throw new UsageError(`there is no ${named}`)
  const parsed = parseSpec(ref.name, resource.spec)
  if (!parsed.ok) return { steps: [failedStep('resource', parsed.problems.join('; '), 'InvalidSpec')] }
  const { spec } = parsed
  const steps = [ok('resource', `${named} is valid`)]

  const read: Parameters<typeof readSources>[1][number][] = []
  for (const source of sourceRefs(spec)) {
    const type = source.kind === 'Secret' ? secrets : configMaps
    const object = await find<SourceObject>(() => client.get(type, { namespace: ref.namespace, name: source.name }))
    if (object === undefined) {
      const detail = `${source.fields.join(' and ')}: there is no ${source.kind} ${source.name} in namespace ${ref.namespace}`
      return { steps: [...steps, failedStep('sources', detail, 'SourceSecretNotFound')] }
    }
    read.push({ ref: source, object })
  }
  const { trimmed, values } = readSources(spec, read)
  if (isProblem(values)) return { steps: [...steps, failedStep('sources', values.message, values.reason)] }
  const hint = trimmed.length === 0 ? '' : `; newlines at the end were left out: ${trimmed.join(', ')}`
  const { appKey, appSecret, ca } = values
  return {
    steps: [...steps, ok('sources', `${read.map(({ ref: { kind, name } }) => `${kind} ${name}`).join(', ')}${hint}`)],
    request: {
      gatewayUrl: normaliseGatewayUrl(spec.gateway.url),
      appKey,
      appSecret,
      timeoutMs: timeoutMs ?? parseDuration(spec.gateway.timeout),
      ...(ca === undefined ? {} : { ca }),
    },
  }
}

async function find<T>(get: () => Promise<T>): Promise<T | undefined> {
  try {
    return await get()
  } catch (error) {
    if (error instanceof ApiError && isNotFound(error)) return undefined
    throw error
  }
}

async function callGateway(
  { clock, environment, signal }: CommandContext,
  request: Request,
  { refresh: isRefreshWanted = false }: CheckOptions,
): Promise<Step[]> {
  const dispatchers = new GatewayDispatchers({ proxy: proxyOf(environment) })
  let skewMs: number | undefined
  const client = new TokenClient({
    dispatchers,
    clock,
    timestamps: new Timestamps(clock),
    observer: {
      onCall: () => {
        // Nothing is counted here.
      },
      onClockSkew: (_, ms) => {
        skewMs = ms
      },
    },
    userAgent,
  })
  try {
    const get = await client.call(request, signal)
    const isRefreshTried = isRefreshWanted && get.kind === 'token'
    const refresh = isRefreshTried ? await client.call({ ...request, refresh: get.token }, signal) : undefined
    return gatewaySteps({ gatewayUrl: request.gatewayUrl, get, refresh, isRefreshWanted, skewMs })
  } finally {
    await dispatchers.close()
  }
}
