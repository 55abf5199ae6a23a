import { Command, Option } from 'commander'
import { askGateway, type CheckRequest } from './check-gateway.ts'
import { gatewaySteps, isGood, renderSteps, type Step } from './check-report.ts'
import { readResource } from './check-resource.ts'
import { typedRequest, type TypedOptions } from './check-typed.ts'
import { type CommandContext, UsageError } from './context.ts'
import { connectAs, durationOf, kubeconfigOption, outputOption, resourceNamespaceOption } from './options.ts'
import { inNamespace, parseResourceName } from './resource-ref.ts'

const examples = `
Examples:
  enos-credential-operator check --resource plant-a/wind-farm
  enos-credential-operator check --resource wind-farm --namespace plant-a --refresh --output json
  enos-credential-operator check --gateway https://apim.example.com --app-key-file key.txt --app-secret-file - < secret.txt
  ENOS_APP_KEY=… ENOS_APP_SECRET=… enos-credential-operator check --gateway https://apim.example.com

A get is asked for and nothing else: it changes nothing at the gateway. With --refresh the token is refreshed too.
appKey and appSecret are never arguments: they would be seen in the list of processes. Exit codes: 0 all works,
1 something does not, 2 the command cannot be understood. HTTPS_PROXY, HTTP_PROXY and NO_PROXY are respected.`

interface CheckOptions extends Partial<TypedOptions> {
  readonly resource?: string
  readonly namespace?: string
  readonly kubeconfig?: string
  readonly timeout?: string
  readonly refresh?: boolean
  readonly output: 'text' | 'json'
}

/** Tries a credential against its gateway, and says in words what works. */
export function checkCommand(context: CommandContext): Command {
  return new Command('check')
    .description('try a credential against its gateway, and say what works')
    .addOption(
      new Option('--resource <[namespace/]name>', 'check what this EnosAppCredential has').conflicts([
        'gateway',
        'appKeyFile',
        'appSecretFile',
        'caFile',
        'allowInsecureHttp',
      ]),
    )
    .addOption(resourceNamespaceOption().conflicts('gateway'))
    .addOption(kubeconfigOption().conflicts('gateway'))
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
  const ask = async (request: CheckRequest): Promise<Step[]> =>
    gatewaySteps(await askGateway(context, request, options.refresh === true))
  const { gateway, kubeconfig, namespace, resource } = options
  if (gateway !== undefined) return await ask(await typedRequest(context, { ...options, gateway }, timeoutMs))
  if (resource === undefined) throw new UsageError('name what to check: --resource namespace/name, or --gateway URL')

  const name = parseResourceName(resource, namespace)
  const connection = connectAs(context, kubeconfig)
  try {
    const ref = inNamespace(name, connection.currentNamespace)
    const { request, steps } = await readResource(connection.client, ref, timeoutMs)
    return request === undefined ? [...steps] : [...steps, ...(await ask(request))]
  } finally {
    await connection.close()
  }
}
