import { Command } from 'commander'
import { annotations } from '../api/v1alpha1/names.ts'
import { parseStatus } from '../api/v1alpha1/credential.ts'
import type { CredentialStatus } from '../api/v1alpha1/schema.ts'
import { credentials, type KubernetesClient, type KubernetesObject, type ObjectRef } from '../kubernetes/types.ts'
import { sleep } from '../lib/clock.ts'
import type { CommandContext } from './context.ts'
import { connectAs, durationOf, kubeconfigOption } from './options.ts'
import { parseResourceRef } from './resource-ref.ts'

const examples = `
Examples:
  enos-credential-operator renew plant-a/wind-farm
  enos-credential-operator renew wind-farm --wait --timeout 2m

It sets the annotation enos.io/renew-requested-at; the operator does the rest, at most once in 10 s for an application.
Exit codes with --wait: 0 renewed, 1 not.`

interface RenewOptions {
  readonly kubeconfig?: string
  readonly wait?: boolean
  readonly timeout: string
}

const pollMs = 200

/** Asks for a renewal, by the annotation. */
export function renewCommand(context: CommandContext): Command {
  return new Command('renew')
    .description('have a token renewed now')
    .argument('<[namespace/]name>', 'the EnosAppCredential')
    .addOption(kubeconfigOption())
    .option('--wait', 'wait for what comes of it')
    .option('--timeout <duration>', 'how long to wait', '1m')
    .addHelpText('after', examples)
    .action(async (resource: string, options: RenewOptions) => {
      const timeoutMs = durationOf('--timeout', options.timeout)
      const connection = connectAs(context, options.kubeconfig)
      try {
        const ref = parseResourceRef(resource, connection.currentNamespace)
        context.exit(await renew(context, connection.client, ref, options.wait === true ? timeoutMs : 0))
      } finally {
        await connection.close()
      }
    })
}

/** @returns the exit code */
async function renew(
  { clock, print, signal }: CommandContext,
  client: KubernetesClient,
  ref: ObjectRef,
  waitMs: number,
): Promise<number> {
  const named = `${ref.namespace}/${ref.name}`
  // With milliseconds: two requests in a second are two.
  const value = new Date(clock.wall()).toISOString()
  const body = { metadata: { annotations: { [annotations.renewRequestedAt]: value } } }
  await client.patch(credentials, ref, { type: 'merge', body })
  print(`${named}: renewal requested\n`)
  if (waitMs === 0) return 0

  const until = clock.now() + waitMs
  while (clock.now() < until) {
    const status = parseStatus((await client.get<KubernetesObject & { status?: unknown }>(credentials, ref)).status)
    if (status.lastHandledRenewRequest === value) return report(named, status, print)
    await sleep(clock, pollMs, signal)
  }
  print(`${named}: the operator has not tried it yet; is it running, and the resource not suspended?\n`)
  return 1
}

function report(named: string, { conditions, expiresAt }: CredentialStatus, print: CommandContext['print']): number {
  const healthy = conditions.find(({ type }) => type === 'RenewalHealthy')
  if (healthy?.status === 'True') {
    print(`${named}: renewed, valid until ${expiresAt ?? 'an unknown time'}\n`)
    return 0
  }
  print(
    `${named}: not renewed: ${healthy?.reason ?? 'Unknown'}: ${healthy?.message ?? 'no condition RenewalHealthy'}\n`,
  )
  return 1
}
