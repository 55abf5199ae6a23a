import { Command } from 'commander'
import { annotations } from '../api/v1alpha1/names.ts'
import { parseStatus } from '../api/v1alpha1/credential.ts'
import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import { isNotFound } from '../kubernetes/errors.ts'
import { credentials, type KubernetesClient, type KubernetesObject, type ObjectRef } from '../kubernetes/types.ts'
import { sleep } from '../lib/clock.ts'
import { formatDuration } from '../lib/duration.ts'
import { parseCredential } from '../observe/parse-object.ts'
import { type CommandContext, CommandError } from './context.ts'
import { connectAs, durationOf, kubeconfigOption, resourceNamespaceOption } from './options.ts'
import { inNamespace, parseResourceName } from './resource-ref.ts'
import { printable } from './table.ts'

const examples = `
Examples:
  enos-credential-operator renew plant-a/wind-farm
  enos-credential-operator renew wind-farm --namespace plant-a
  enos-credential-operator renew wind-farm --wait --timeout 2m

Sets the annotation enos.io/renew-requested-at; the operator then renews, at most once in 10 s for an application.
Exit codes: 0 requested (with --wait: renewed), 1 failed, 2 usage error.`

interface RenewOptions {
  readonly kubeconfig?: string
  readonly namespace?: string
  readonly wait?: boolean
  readonly timeout: string
}

interface CredentialObject extends KubernetesObject {
  readonly spec?: { readonly suspend?: boolean }
  readonly status?: unknown
}

const pollMs = 200

/** `renew`: requests a renewal by setting the annotation. */
export function renewCommand(context: CommandContext): Command {
  return new Command('renew')
    .description('renew the token of an EnosAppCredential now')
    .argument('<[namespace/]name>', 'the EnosAppCredential')
    .addOption(resourceNamespaceOption())
    .addOption(kubeconfigOption())
    .option('--wait', 'wait until the token is renewed or the renewal failed')
    .option('--timeout <duration>', 'how long to wait with --wait', '1m')
    .addHelpText('after', examples)
    .action(async (resource: string, options: RenewOptions) => {
      const timeoutMs = durationOf('--timeout', options.timeout)
      const name = parseResourceName(resource, options.namespace)
      const connection = connectAs(context, options.kubeconfig)
      try {
        const ref = inNamespace(name, connection.currentNamespace)
        context.exit(await renew(context, connection.client, ref, options.wait === true ? timeoutMs : 0))
      } finally {
        await connection.close()
      }
    })
}

/** @returns the exit code */
export async function renew(
  { clock, print, signal }: Pick<CommandContext, 'clock' | 'print' | 'signal'>,
  client: KubernetesClient,
  ref: ObjectRef,
  waitMs: number,
): Promise<number> {
  const named = `${ref.namespace}/${ref.name}`
  const { metadata, spec, status: statusBefore } = await request(client, ref, clock.wall())
  const requested = parseCredential({ metadata }).renewRequest
  print(`${named}: renewal requested\n`)
  if (spec?.suspend === true) {
    print(`${named}: spec.suspend is true: the operator renews once it is false\n`)
    return waitMs === 0 ? 0 : 1
  }
  if (waitMs === 0) return 0

  const before = parseStatus(statusBefore)
  const until = clock.now() + waitMs
  while (clock.now() < until) {
    const object = await client.get<CredentialObject>(credentials, ref)
    const { renewRequest, status } = parseCredential(object)
    const handled = status.lastHandledRenewRequest
    // A later request of another user replaces this one; the operator then handles that one only.
    if (handled !== undefined && (handled === requested || handled === renewRequest)) {
      const { isRenewed, text } = outcomeOf(before, status, clock.wall())
      print(`${named}: ${text}\n`)
      return isRenewed ? 0 : 1
    }
    await sleep(clock, pollMs, signal)
  }
  print(
    `${named}: no attempt within ${formatDuration(waitMs)}: is the operator running, and does it watch this namespace? ` +
      'Requested renewals run at most once in 10 s for an application.\n',
  )
  return 1
}

/** @returns the resource with the annotation */
async function request(client: KubernetesClient, ref: ObjectRef, wall: number): Promise<CredentialObject> {
  // Milliseconds, so that two requests in one second differ.
  const value = new Date(wall).toISOString()
  const body = { metadata: { annotations: { [annotations.renewRequestedAt]: value } } }
  try {
    return await client.patch<CredentialObject>(credentials, ref, { type: 'merge', body })
  } catch (error) {
    if (!isNotFound(error)) throw error
    throw new CommandError(`EnosAppCredential ${ref.namespace}/${ref.name} not found`)
  }
}

/**
 * The outcome of a renewal.
 *
 * @param before the status when the renewal was requested
 * @param after the status that records the attempt
 * @param nowWall ms
 */
export function outcomeOf(
  before: CredentialStatus,
  after: CredentialStatus,
  nowWall: number,
): { readonly isRenewed: boolean; readonly text: string } {
  const healthy = after.conditions.find(({ type }) => type === 'RenewalHealthy')
  if (healthy?.status !== 'True') {
    const why = healthy === undefined ? 'Unknown: no condition RenewalHealthy' : `${healthy.reason}: ${healthy.message}`
    return { isRenewed: false, text: printable(`not renewed: ${why}`) }
  }
  const { expiresAt } = after
  const left = expiresAt === undefined ? '' : ` (${formatDuration(Date.parse(expiresAt) - nowWall)})`
  const valid = `valid until ${expiresAt ?? 'an unknown time'}${left}`
  if (isNewToken(before, after)) return { isRenewed: true, text: `renewed, ${valid}` }
  return {
    isRenewed: false,
    text: `not renewed: the gateway returned the same token, ${valid}: without refresh a new token comes only when this one expires`,
  }
}

/** A refresh may return the same value with a new lifetime, and times are whole seconds: either one changes. */
function isNewToken(before: CredentialStatus, after: CredentialStatus): boolean {
  return before.tokenFingerprint !== after.tokenFingerprint || before.lastRenewalAt !== after.lastRenewalAt
}
