import { Command, Option } from 'commander'
import { ApiError } from '../kubernetes/errors.ts'
import { KubeconfigError } from '../kubernetes/kubeconfig-error.ts'
import type { ObjectRef } from '../kubernetes/types.ts'
import { type ApiServer, type ApiServerFlags, describeApiError } from './api-server.ts'
import { askGateway } from './check-gateway.ts'
import { gatewaySteps, isTokenReplaced } from './check-report.ts'
import { readResource } from './check-resource.ts'
import { checkExitCodes, checkOutcome, failed, ok, renderSteps, type Step, unchecked } from './check-steps.ts'
import { appKeyVariable, appSecretVariable, typedNames, type TypedOptions, typedRequest } from './check-typed.ts'
import type { CommandContext } from './context.ts'
import { CommandError, UsageError } from './errors.ts'
import {
  contextOption,
  durationOf,
  kubeconfigOption,
  outputOption,
  resourceNamespaceOption,
  warnOfMisspelled,
} from './options.ts'
import { waitingFor, withProgress } from './progress.ts'
import { awaitRenewal, requestRenewal } from './renewal.ts'
import { inNamespace, parseResourceName, type ResourceName } from './resource-ref.ts'

const examples = `
Examples:
  enos-credential-operator check plant-a/wind-farm
  enos-credential-operator check wind-farm --namespace plant-a --refresh --output json
  enos-credential-operator check --gateway https://apim.example.com --app-key-file key.txt --app-secret-file - < secret.txt
  ENOS_APP_KEY=… ENOS_APP_SECRET=… enos-credential-operator check --gateway https://apim.example.com

Of an EnosAppCredential, it also tells what is in the way of its sources and targets, with the permissions of the user.
Calls get only, which changes nothing at the gateway. With --refresh it also calls refresh, which replaces the token:
some gateways then revoke the old one. The check of an EnosAppCredential therefore has the operator renew afterwards,
as the command renew does, so that the targets get the new token.
appKey, appSecret and the values of headers are no arguments, because other users see those in the list of processes.
Calls use HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
Exit codes: 0 works, 1 does not work, 2 usage error, 3 could not be checked.`

interface CheckOptions extends Partial<TypedOptions>, ApiServerFlags {
  readonly resource?: string
  readonly namespace?: string
  readonly timeout?: string
  readonly refresh?: boolean
  readonly output: 'text' | 'json'
}

/** As of spec.gateway.timeout. */
const maxTimeout = '1m'
/** The operator renews an application at most once in 10 s. */
const renewalWaitMs = 20_000
const typedOptions = {
  gateway: '--gateway',
  appKeyFile: '--app-key-file',
  appSecretFile: '--app-secret-file',
  caFile: '--ca-file',
  allowInsecureHttp: '--allow-insecure-http',
  headerFile: '--header-file',
  tlsServerName: '--tls-server-name',
} as const satisfies Record<keyof TypedOptions, string>

/** `check`: tries a credential against its gateway and reports each step. */
export function checkCommand(context: CommandContext): Command {
  return new Command('check')
    .description('try a credential against its gateway')
    .argument('[[namespace/]name]', 'check this EnosAppCredential')
    .addOption(new Option('--resource <[namespace/]name>', 'the same as the argument'))
    .addOption(resourceNamespaceOption().conflicts('gateway'))
    .addOption(kubeconfigOption().conflicts('gateway'))
    .addOption(contextOption().conflicts('gateway'))
    .option('--gateway <url>', 'check this gateway, with appKey and appSecret from files or the environment')
    .option('--app-key-file <file>', 'file with the appKey, - for standard input (default: ENOS_APP_KEY)')
    .option('--app-secret-file <file>', 'file with the appSecret, - for standard input (default: ENOS_APP_SECRET)')
    .option('--ca-file <file>', 'CA certificates (PEM) to trust in addition to those of the system')
    .option('--tls-server-name <name>', 'name to find in the certificate (default: the host of the gateway)')
    .addOption(
      new Option('--header-file <name=file>', 'header to send and the file with its value; can be repeated').argParser(
        (text: string, before: readonly string[] | undefined) => [...(before ?? []), text],
      ),
    )
    .option('--allow-insecure-http', 'allow an http:// gateway: appKey and token are sent unencrypted')
    .option(
      '--timeout <duration>',
      `timeout of each call, at most ${maxTimeout} (default: that of the resource, or 10s)`,
    )
    .option('--refresh', 'also try refresh, which replaces the token')
    .addOption(outputOption())
    .addHelpText('after', examples)
    .action(async (argument: string | undefined, options: CheckOptions) => {
      warnOfMisspelled(context, options.gateway === undefined ? [] : [appKeyVariable, appSecretVariable])
      const steps = await check(context, argument, options)
      const outcome = checkOutcome(steps)
      const report = { ok: outcome === 'works', outcome, steps }
      context.print(options.output === 'json' ? `${JSON.stringify(report, null, 2)}\n` : renderSteps(steps))
      context.exit(checkExitCodes[outcome])
    })
}

async function check(context: CommandContext, argument: string | undefined, options: CheckOptions): Promise<Step[]> {
  const timeoutMs = options.timeout === undefined ? undefined : durationOf('--timeout', options.timeout, maxTimeout)
  const { gateway, namespace } = options
  const resource = resourceOf(argument, options)
  if (resource !== undefined) {
    return await checkResource(context, parseResourceName(resource, namespace), options, timeoutMs)
  }
  if (gateway === undefined) {
    throw new UsageError('nothing to check: give the name of an EnosAppCredential, or --gateway URL')
  }
  const typed = { ...options, gateway }
  const seen = await askGateway(context, await typedRequest(context, typed, timeoutMs), options.refresh === true)
  return gatewaySteps(seen, typedNames(typed))
}

/** The argument or --resource. @throws UsageError if both are given, or one of them beside a gateway */
function resourceOf(argument: string | undefined, options: CheckOptions): string | undefined {
  const { resource } = options
  if (argument !== undefined && resource !== undefined) {
    throw new UsageError('--resource cannot be used with an argument: give the EnosAppCredential once')
  }
  const given = argument ?? resource
  if (given?.includes('://') === true) {
    throw new UsageError('expected the name of an EnosAppCredential: give a URL with --gateway')
  }
  for (const [name, flag] of Object.entries(typedOptions)) {
    if (given === undefined || options[name as keyof TypedOptions] === undefined) continue
    throw new UsageError(`${flag} cannot be used with an EnosAppCredential: the resource has its own`)
  }
  return given
}

async function checkResource(
  context: CommandContext,
  name: ResourceName,
  options: CheckOptions,
  timeoutMs: number | undefined,
): Promise<Step[]> {
  let server: ApiServer
  try {
    server = context.openApiServer(options)
  } catch (error) {
    if (!(error instanceof KubeconfigError)) throw error
    return [unchecked('resource', error.message)]
  }
  try {
    const ref = inNamespace(name, server.currentNamespace)
    const { names, request, steps } = await withProgress(context, waitingFor.apiServer, () => {
      return readResource(server.client, ref, { ...context, timeoutMs })
    })
    if (request === undefined || names === undefined) return [...steps]
    const seen = await askGateway(context, request, options.refresh === true)
    const renewal = isTokenReplaced(seen) ? [await renewTargets(context, server, ref)] : []
    return [...steps, ...gatewaySteps(seen, names), ...renewal]
  } catch (error) {
    if (context.signal.aborted) return [unchecked('resource', 'the check was stopped')]
    if (!(error instanceof ApiError)) throw error
    return [unchecked('resource', describeApiError(error, server))]
  } finally {
    await server.close()
  }
}

/** After a refresh that replaced the token: the gateway may have revoked the one that the targets hold. */
async function renewTargets(context: CommandContext, server: ApiServer, ref: ObjectRef): Promise<Step> {
  const advice = `Renew: enos-credential-operator renew ${ref.namespace}/${ref.name} --wait`
  const fail = (why: string, whatToDo = advice): Step => {
    const stale = 'the targets may still hold the token from before the refresh, which the gateway may have revoked'
    return failed('renewal', `${stale}: ${why}`, whatToDo)
  }
  try {
    const request = await requestRenewal(context, server.client, ref)
    const { obstacle } = request
    if (obstacle !== undefined) return fail(obstacle.text, obstacle.advice)
    const { isRenewed, text } = await withProgress(context, waitingFor.operator, () => {
      return awaitRenewal(context, server.client, request, renewalWaitMs)
    })
    return isRenewed ? ok('renewal', `the operator put the new token on the targets: ${text}`) : fail(text)
  } catch (error) {
    if (error instanceof CommandError) return fail(error.message)
    if (error instanceof ApiError) return fail(describeApiError(error, server))
    throw error
  }
}
