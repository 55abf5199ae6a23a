import { Command } from 'commander'
import { isForbidden, isNotFound } from '../kubernetes/errors.ts'
import {
  credentials,
  type KubernetesClient,
  type ListOptions,
  type ObjectList,
  type ObjectRef,
} from '../kubernetes/types.ts'
import { isCrdMissing, withApiServer } from './api-server.ts'
import type { CommandContext } from './context.ts'
import { CommandError } from './errors.ts'
import { kubeconfigOption, outputOption } from './options.ts'
import { inNamespace, parseNamespace, parseResourceName } from './resource-ref.ts'
import { renderDetail, statusDetail } from './status-detail.ts'
import type { CredentialObject } from './status-problems.ts'
import { renderStatus, statusRows } from './status-table.ts'

const examples = `
Examples:
  enos-credential-operator status
  enos-credential-operator status --namespace plant-a
  enos-credential-operator status plant-a/wind-farm
  enos-credential-operator status wind-farm --namespace plant-a --output json

Exit codes: 0 shown, whatever the status, 1 failed, 2 usage error.`

interface StatusOptions {
  readonly kubeconfig?: string
  readonly namespace?: string
  readonly output: 'text' | 'json'
}

const pageSize = 500
const viewRole = 'ask for the ClusterRole enosappcredentials-view'

/** `status`: one resource in full, or a table of all, the most urgent first. */
export function statusCommand(context: CommandContext): Command {
  return new Command('status')
    .description('show EnosAppCredentials, the most urgent first, or one of them in full')
    .argument('[[namespace/]name]', 'show this EnosAppCredential in full')
    .option('-n, --namespace <name>', 'namespace (default: that of the kubeconfig context; without a name: all)')
    .addOption(kubeconfigOption())
    .addOption(outputOption())
    .addHelpText('after', examples)
    .action(async (resource: string | undefined, { kubeconfig, namespace: given, output }: StatusOptions) => {
      const name = resource === undefined ? undefined : parseResourceName(resource, given)
      const namespace = given === undefined ? undefined : parseNamespace(given)
      await withApiServer(context, kubeconfig, async ({ client, currentNamespace }) => {
        const [shown, text] =
          name === undefined
            ? await table(context, client, namespace)
            : await detail(context, client, inNamespace(name, currentNamespace))
        context.print(output === 'json' ? `${JSON.stringify(shown, null, 2)}\n` : text)
      })
    })
}

async function table(
  { clock, signal }: CommandContext,
  client: KubernetesClient,
  namespace: string | undefined,
): Promise<[shown: unknown, text: string]> {
  const objects = await listAll(client, namespace, signal)
  const nowWall = clock.wall()
  const rows = statusRows(objects, nowWall)
  const where = namespace === undefined ? 'in any namespace' : `in namespace ${namespace}`
  return [rows, rows.length === 0 ? `No EnosAppCredentials found ${where}.\n` : renderStatus(rows, nowWall)]
}

async function detail(
  { clock, signal }: CommandContext,
  client: KubernetesClient,
  ref: ObjectRef,
): Promise<[shown: unknown, text: string]> {
  const object = await getOne(client, ref, signal)
  const nowWall = clock.wall()
  const shown = statusDetail(object, nowWall)
  return [shown, renderDetail(shown, nowWall)]
}

async function getOne(client: KubernetesClient, ref: ObjectRef, signal: AbortSignal): Promise<CredentialObject> {
  try {
    return await client.get<CredentialObject>(credentials, ref, { signal })
  } catch (error) {
    if (isNotFound(error) && !isCrdMissing(error)) {
      throw new CommandError(`EnosAppCredential ${ref.namespace}/${ref.name} not found`)
    }
    if (!isForbidden(error)) throw error
    throw new CommandError(`forbidden: cannot get EnosAppCredential ${ref.namespace}/${ref.name}: ${viewRole}`)
  }
}

async function listAll(
  client: KubernetesClient,
  namespace: string | undefined,
  signal: AbortSignal,
): Promise<CredentialObject[]> {
  const all: CredentialObject[] = []
  let next: string | undefined
  do {
    const page = { signal, limit: pageSize, ...(next === undefined ? {} : { continue: next }) }
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
    const where = namespace === undefined ? 'in all namespaces: give --namespace, or' : `in namespace ${namespace}:`
    throw new CommandError(`forbidden: cannot list EnosAppCredentials ${where} ${viewRole}`)
  }
}
