import { Command } from 'commander'
import { credentials, type KubernetesClient, type ListOptions, type ObjectList } from '../kubernetes/types.ts'
import { isForbidden } from '../kubernetes/errors.ts'
import { type CommandContext, CommandError } from './context.ts'
import { connectAs, kubeconfigOption, outputOption } from './options.ts'
import { parseNamespace } from './resource-ref.ts'
import { type CredentialObject, renderStatus, statusRows } from './status-table.ts'

const examples = `
Examples:
  enos-credential-operator status
  enos-credential-operator status --namespace plant-a
  enos-credential-operator status --output json

Exit codes: 0 shown, whatever the status, 1 failed, 2 usage error.`

interface StatusOptions {
  readonly kubeconfig?: string
  readonly namespace?: string
  readonly output: 'text' | 'json'
}

const pageSize = 500

/** `status`: all resources, the most urgent first. */
export function statusCommand(context: CommandContext): Command {
  return new Command('status')
    .description('show EnosAppCredentials, the most urgent first')
    .addOption(kubeconfigOption())
    .option('-n, --namespace <name>', 'show this namespace only (default: all namespaces)')
    .addOption(outputOption())
    .addHelpText('after', examples)
    .action(async ({ kubeconfig, namespace: given, output }: StatusOptions) => {
      const namespace = given === undefined ? undefined : parseNamespace(given)
      const connection = connectAs(context, kubeconfig)
      try {
        const objects = await listAll(connection.client, namespace)
        const nowWall = context.clock.wall()
        const rows = statusRows(objects, nowWall)
        context.print(output === 'json' ? `${JSON.stringify(rows, null, 2)}\n` : renderStatus(rows, nowWall))
      } finally {
        await connection.close()
      }
    })
}

async function listAll(client: KubernetesClient, namespace: string | undefined): Promise<CredentialObject[]> {
  const all: CredentialObject[] = []
  let next: string | undefined
  do {
    const page = { limit: pageSize, ...(next === undefined ? {} : { continue: next }) }
    const { items, metadata } = await listPage(client, namespace, page)
    all.push(...items)
    next = metadata.continue === '' ? undefined : metadata.continue
  } while (next !== undefined)
  return all
}

async function listPage(
  client: KubernetesClient,
  namespace: string | undefined,
  page: ListOptions,
): Promise<ObjectList<CredentialObject>> {
  try {
    return await client.list<CredentialObject>(credentials, namespace, page)
  } catch (error) {
    if (!isForbidden(error)) throw error
    const where = namespace === undefined ? 'in all namespaces: give --namespace' : `in namespace ${namespace}`
    throw new CommandError(`forbidden: cannot list EnosAppCredentials ${where}`)
  }
}
