import { Option } from 'commander'
import { type ApiConnection, connect } from '../kubernetes/connect.ts'
import { parseDuration } from '../lib/duration.ts'
import { version } from '../version.ts'
import { type CommandContext, UsageError } from './context.ts'

/** Options and their values that several commands share. */

export const kubeconfigOption = (): Option =>
  new Option('--kubeconfig <file>', 'kubeconfig to use; else KUBECONFIG, else that of the pod, else ~/.kube/config')

export const resourceNamespaceOption = (): Option =>
  new Option('-n, --namespace <name>', 'its namespace, where the name has none (default: that of the kubeconfig)')

export const outputOption = (): Option =>
  new Option('-o, --output <format>', 'text or json').choices(['text', 'json']).default('text')

export const userAgent = `enos-credential-operator/${version}`

/** The API server, as whoever runs the command. */
export function connectAs({ clock, environment }: CommandContext, kubeconfig: string | undefined): ApiConnection {
  return connect({
    kubeconfig: { flag: kubeconfig, environment },
    clock,
    userAgent,
    fieldManager: 'enos-credential-cli',
  })
}

/** @returns ms @throws UsageError that names the flag */
export function durationOf(flag: string, text: string): number {
  try {
    const ms = parseDuration(text)
    if (ms > 0) return ms
  } catch {
    // Told below, with the flag's name.
  }
  throw new UsageError(`${flag}: seen ${JSON.stringify(text.slice(0, 40))}, expected a duration like 10s or 5m`)
}
