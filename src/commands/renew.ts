import { Command } from 'commander'
import type { KubernetesClient, ObjectRef } from '../kubernetes/types.ts'
import { type ApiServerFlags, withApiServer } from './api-server.ts'
import type { CommandContext } from './context.ts'
import { UsageError } from './errors.ts'
import { contextOption, durationOf, kubeconfigOption, resourceNamespaceOption } from './options.ts'
import { waitingFor, withProgress } from './progress.ts'
import { awaitRenewal, requestRenewal } from './renewal.ts'
import { inNamespace, parseResourceName } from './resource-ref.ts'

const examples = `
Examples:
  enos-credential-operator renew plant-a/wind-farm
  enos-credential-operator renew wind-farm --namespace plant-a
  enos-credential-operator renew wind-farm --wait --timeout 2m

Sets the annotation enos.io/renew-requested-at; the operator then renews, at most once in 10 s for an application.
Exit codes: 0 requested (with --wait: renewed), 1 failed, 2 usage error.`

interface RenewOptions extends ApiServerFlags {
  readonly namespace?: string
  readonly wait?: boolean
  readonly timeout?: string
}

const defaultTimeout = '1m'
const maxTimeout = '24h'

/** `renew`: requests a renewal by setting the annotation. */
export function renewCommand(context: CommandContext): Command {
  return new Command('renew')
    .description('renew the token of an EnosAppCredential now')
    .argument('<[namespace/]name>', 'the EnosAppCredential')
    .addOption(resourceNamespaceOption())
    .addOption(kubeconfigOption())
    .addOption(contextOption())
    .option('--wait', 'wait until the token is renewed or the renewal failed')
    .option('--timeout <duration>', `how long to wait with --wait, at most ${maxTimeout} (default: ${defaultTimeout})`)
    .addHelpText('after', examples)
    .action(async (resource: string, options: RenewOptions) => {
      const { namespace, timeout, wait = false } = options
      const waitMs = durationOf('--timeout', timeout ?? defaultTimeout, maxTimeout)
      if (timeout !== undefined && !wait) throw new UsageError('--timeout has no effect without --wait: add --wait')
      const name = parseResourceName(resource, namespace)
      await withApiServer(context, options, async ({ client, currentNamespace }) => {
        context.exit(await renew(context, client, inNamespace(name, currentNamespace), wait ? waitMs : 0))
      })
    })
}

/** @returns the exit code */
export async function renew(
  context: Pick<CommandContext, 'clock' | 'print' | 'printError' | 'signal' | 'statusLine'>,
  client: KubernetesClient,
  ref: ObjectRef,
  waitMs: number,
): Promise<number> {
  const { print, printError } = context
  const named = `${ref.namespace}/${ref.name}`
  const request = await withProgress(context, waitingFor.apiServer, () => requestRenewal(context, client, ref))
  print(`${named}: renewal requested\n`)
  if (request.obstacle !== undefined) {
    // Without --wait the request is all that was asked for, and standard output has that.
    const tell = waitMs === 0 ? printError : print
    tell(`${named}: ${request.obstacle.text}\n`)
    return waitMs === 0 ? 0 : 1
  }
  if (waitMs === 0) return 0
  const { isRenewed, text } = await withProgress(context, waitingFor.operator, () => {
    return awaitRenewal(context, client, request, waitMs)
  })
  print(`${named}: ${text}\n`)
  return isRenewed ? 0 : 1
}
