import { Command, Option } from 'commander'
import { isForbidden, isKindUnknown, isNotFound } from '../kubernetes/errors.ts'
import {
  credentials,
  type KubernetesClient,
  type ListOptions,
  type ObjectList,
  type ObjectRef,
} from '../kubernetes/types.ts'
import { type ApiServer, type ApiServerFlags, describeApiError, withApiServer } from './api-server.ts'
import type { CommandContext } from './context.ts'
import { CommandError, UsageError } from './errors.ts'
import { contextOption, kubeconfigOption, outputOption } from './options.ts'
import { permissionAdvice } from './permission-advice.ts'
import { waitingFor, withProgress } from './progress.ts'
import { inNamespace, notFoundText, parseNamespace, parseResourceName } from './resource-ref.ts'
import { renderDetail, statusDetail } from './status-detail.ts'
import type { CredentialObject } from './status-problems.ts'
import { renderStatus, statusRows } from './status-table.ts'
import { lineView, screenView } from './status-watch.ts'
import { watchCredentials, type WatchedCredentials } from './watch-credentials.ts'

const examples = `
Examples:
  enos-credential-operator status
  enos-credential-operator status --namespace plant-a
  enos-credential-operator status --watch
  enos-credential-operator status plant-a/wind-farm
  enos-credential-operator status wind-farm --namespace plant-a --output json

Exit codes: 0 shown, whatever the status, 1 failed, 2 usage error.`

interface StatusOptions extends ApiServerFlags {
  readonly namespace?: string
  readonly output: 'text' | 'json'
  readonly watch?: boolean
  readonly allNamespaces?: unknown
}

const pageSize = 500

/** `status`: one resource in full, or a table of all, the most urgent first. */
export function statusCommand(context: CommandContext): Command {
  return new Command('status')
    .description('show EnosAppCredentials, the most urgent first, or one of them in full')
    .argument('[[namespace/]name]', 'show this EnosAppCredential in full')
    .option('-n, --namespace <name>', 'namespace (default: that of the kubeconfig context; without a name: all)')
    .addOption(new Option('-A, --all-namespaces', 'all namespaces, as without --namespace').conflicts('namespace'))
    .addOption(kubeconfigOption())
    .addOption(contextOption())
    .addOption(outputOption())
    .option('-w, --watch', 'show all resources as they change, until Ctrl-C; lines where there is no terminal')
    .addHelpText('after', examples)
    .action(async (resource: string | undefined, options: StatusOptions) => {
      const { allNamespaces, namespace: given, output, watch = false } = options
      if (allNamespaces === true && resource !== undefined) {
        throw new UsageError(`--all-namespaces shows all resources: leave it out, or ${resource}`)
      }
      if (watch && (resource !== undefined || output === 'json')) {
        throw new UsageError(
          `--watch shows all resources as text: leave out ${resource === undefined ? '--output' : resource}`,
        )
      }
      const name = resource === undefined ? undefined : parseResourceName(resource, given)
      const namespace = given === undefined ? undefined : parseNamespace(given)
      await withApiServer(context, options, async (server) => {
        const { client, currentNamespace } = server
        if (watch) {
          await watchTable(context, server, namespace)
          return
        }
        const [shown, text] =
          name === undefined
            ? await table(context, client, namespace)
            : await detail(context, client, inNamespace(name, currentNamespace))
        context.print(output === 'json' ? `${JSON.stringify(shown, null, 2)}\n` : text)
      })
    })
}

async function table(
  context: CommandContext,
  client: KubernetesClient,
  namespace: string | undefined,
): Promise<[shown: unknown, text: string]> {
  const { objects } = await listAll(context, client, namespace)
  const nowWall = context.clock.wall()
  const rows = statusRows(objects, nowWall)
  return [rows, rows.length === 0 ? `${noneFound(namespace)}.\n` : renderStatus(rows, nowWall)]
}

function noneFound(namespace: string | undefined): string {
  return `No EnosAppCredentials found in ${namespace === undefined ? 'any namespace' : `namespace ${namespace}`}`
}

async function watchTable(context: CommandContext, server: ApiServer, namespace: string | undefined): Promise<void> {
  const { clock, outputClosed, print, printError, terminal } = context
  const signal = AbortSignal.any([context.signal, outputClosed])
  const describeFailure = ({ failure }: WatchedCredentials): string =>
    failure === undefined ? '' : `not up to date: ${describeApiError(failure, server)}`
  const onNone = (): void => {
    printError(`${noneFound(namespace)}: waiting for the first.\n`)
  }
  const view =
    terminal === undefined
      ? lineView({ clock, print, onNone })
      : screenView({ terminal, print, clock, describeFailure, signal })
  try {
    await watchCredentials({
      client: server.client,
      list: () => listAll(context, server.client, namespace),
      namespace,
      clock,
      signal,
      onChange: view.show,
    })
  } finally {
    view.close()
  }
}

async function detail(
  context: CommandContext,
  client: KubernetesClient,
  ref: ObjectRef,
): Promise<[shown: unknown, text: string]> {
  const object = await withProgress(context, waitingFor.apiServer, () => getOne(client, ref, context.signal))
  const nowWall = context.clock.wall()
  const shown = statusDetail(object, nowWall)
  return [shown, renderDetail(shown, nowWall)]
}

async function getOne(client: KubernetesClient, ref: ObjectRef, signal: AbortSignal): Promise<CredentialObject> {
  try {
    return await client.get<CredentialObject>(credentials, ref, { signal })
  } catch (error) {
    if (isNotFound(error) && !isKindUnknown(error)) {
      throw new CommandError(notFoundText(ref))
    }
    if (!isForbidden(error)) throw error
    const advice = permissionAdvice('get', ref.namespace)
    throw new CommandError(`forbidden: cannot get EnosAppCredential ${ref.namespace}/${ref.name}: ${advice}`)
  }
}

async function listAll(
  context: CommandContext,
  client: KubernetesClient,
  namespace: string | undefined,
): Promise<{ objects: CredentialObject[]; resourceVersion: string }> {
  return await withProgress(context, waitingFor.apiServer, () => listPages(client, namespace, context.signal))
}

async function listPages(
  client: KubernetesClient,
  namespace: string | undefined,
  signal: AbortSignal,
): Promise<{ objects: CredentialObject[]; resourceVersion: string }> {
  const objects: CredentialObject[] = []
  let resourceVersion = ''
  let next: string | undefined
  do {
    const page = { signal, limit: pageSize, ...(next === undefined ? {} : { continue: next }) }
    const { items, metadata } = await listPage(client, namespace, page)
    objects.push(...items)
    resourceVersion = metadata.resourceVersion ?? ''
    next = metadata.continue === '' ? undefined : metadata.continue
  } while (next !== undefined)
  return { objects, resourceVersion }
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
    throw new CommandError(`forbidden: cannot list EnosAppCredentials ${where} ${permissionAdvice('list', namespace)}`)
  }
}
