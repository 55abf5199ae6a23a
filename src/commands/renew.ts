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

It sets the annotation enos.io/renew-requested-at; the operator does the rest, at most once in 10 s for an application.
Exit codes: 0 requested (with --wait: there is a new token), 1 not, 2 the command cannot be understood.`

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

/** Asks for a renewal, by the annotation. */
export function renewCommand(context: CommandContext): Command {
  return new Command('renew')
    .description('have a token renewed now')
    .argument('<[namespace/]name>', 'the EnosAppCredential')
    .addOption(resourceNamespaceOption())
    .addOption(kubeconfigOption())
    .option('--wait', 'wait for what comes of it')
    .option('--timeout <duration>', 'how long to wait', '1m')
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
    print(`${named}: spec.suspend is true: it is renewed when that is false again\n`)
    return waitMs === 0 ? 0 : 1
  }
  if (waitMs === 0) return 0

  const before = parseStatus(statusBefore)
  const until = clock.now() + waitMs
  while (clock.now() < until) {
    const object = await client.get<CredentialObject>(credentials, ref)
    const { renewRequest, status } = parseCredential(object)
    const handled = status.lastHandledRenewRequest
    // Somebody may have asked after us: then theirs is the one that is handled.
    if (handled !== undefined && (handled === requested || handled === renewRequest)) {
      const { isRenewed, text } = outcomeOf(before, status, clock.wall())
      print(`${named}: ${text}\n`)
      return isRenewed ? 0 : 1
    }
    await sleep(clock, pollMs, signal)
  }
  print(
    `${named}: not tried within ${formatDuration(waitMs)}: is the operator running, and does it watch this namespace? ` +
      'Renewals that are asked for come at most once in 10 s for an application.\n',
  )
  return 1
}

/** @returns the resource with the annotation */
async function request(client: KubernetesClient, ref: ObjectRef, wall: number): Promise<CredentialObject> {
  // With milliseconds: two requests in a second are two.
  const value = new Date(wall).toISOString()
  const body = { metadata: { annotations: { [annotations.renewRequestedAt]: value } } }
  try {
    return await client.patch<CredentialObject>(credentials, ref, { type: 'merge', body })
  } catch (error) {
    if (!isNotFound(error)) throw error
    throw new CommandError(`there is no EnosAppCredential ${ref.namespace}/${ref.name}`)
  }
}

/**
 * What came of a renewal, by the status that says that it was tried.
 *
 * @param before the status at the time of the request
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
    text: `not renewed: the gateway was asked, and the token is still the same, ${valid}: without refresh a new one comes only when it expires`,
  }
}

/** A refresh may answer the same value with a new life, and times are in whole seconds: either tells. */
function isNewToken(before: CredentialStatus, after: CredentialStatus): boolean {
  return before.tokenFingerprint !== after.tokenFingerprint || before.lastRenewalAt !== after.lastRenewalAt
}
