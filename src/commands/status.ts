import { Command } from 'commander'
import { credentials, type KubernetesClient } from '../kubernetes/types.ts'
import type { CommandContext } from './context.ts'
import { connectAs, kubeconfigOption, outputOption } from './options.ts'
import { type CredentialObject, renderStatus, statusRows } from './status-table.ts'

const examples = `
Examples:
  enos-credential-operator status
  enos-credential-operator status --namespace plant-a
  enos-credential-operator status --output json`

interface StatusOptions {
  readonly kubeconfig?: string
  readonly namespace?: string
  readonly output: 'text' | 'json'
}

const pageSize = 500

/** All resources, the most urgent first. */
export function statusCommand(context: CommandContext): Command {
  return new Command('status')
    .description('show all EnosAppCredentials, the most urgent first')
    .addOption(kubeconfigOption())
    .option('-n, --namespace <name>', 'of this namespace only')
    .addOption(outputOption())
    .addHelpText('after', examples)
    .action(async ({ kubeconfig, namespace, output }: StatusOptions) => {
      const connection = connectAs(context, kubeconfig)
      try {
        const rows = statusRows(await listAll(connection.client, namespace), context.clock.wall())
        context.print(output === 'json' ? `${JSON.stringify(rows, null, 2)}\n` : renderStatus(rows))
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
    const { items, metadata } = await client.list<CredentialObject>(credentials, namespace, page)
    all.push(...items)
    next = metadata.continue === '' ? undefined : metadata.continue
  } while (next !== undefined)
  return all
}
