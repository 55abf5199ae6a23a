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

Calls get only, which changes nothing at the gateway; with --refresh also refresh, which replaces the token.
appKey and appSecret are no arguments, because other users see those in the list of processes.
Calls use HTTPS_PROXY, HTTP_PROXY and NO_PROXY. Exit codes: 0 works, 1 does not work, 2 usage error.`

interface CheckOptions extends Partial<TypedOptions> {
  readonly resource?: string
  readonly namespace?: string
  readonly kubeconfig?: string
  readonly timeout?: string
  readonly refresh?: boolean
  readonly output: 'text' | 'json'
}

/** `check`: tries a credential against its gateway and reports each step. */
export function checkCommand(context: CommandContext): Command {
  return new Command('check')
    .description('try a credential against its gateway')
    .addOption(
      new Option('--resource <[namespace/]name>', 'check this EnosAppCredential').conflicts([
        'gateway',
        'appKeyFile',
        'appSecretFile',
        'caFile',
        'allowInsecureHttp',
      ]),
    )
    .addOption(resourceNamespaceOption().conflicts('gateway'))
    .addOption(kubeconfigOption().conflicts('gateway'))
    .option('--gateway <url>', 'check this gateway, with appKey and appSecret from files or the environment')
    .option('--app-key-file <file>', 'file with the appKey, - for standard input (default: ENOS_APP_KEY)')
    .option('--app-secret-file <file>', 'file with the appSecret, - for standard input (default: ENOS_APP_SECRET)')
    .option('--ca-file <file>', 'CA certificates (PEM) to trust in addition to those of the system')
    .option('--allow-insecure-http', 'allow an http:// gateway: appKey and token are sent unencrypted')
    .option('--timeout <duration>', 'timeout of each call (default: that of the resource, or 10s)')
    .option('--refresh', 'also try refresh, which replaces the token: some gateways revoke the old one')
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
  if (resource === undefined) throw new UsageError('nothing to check: give --resource NAMESPACE/NAME or --gateway URL')

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
