import { Option } from 'commander'
import { parseDuration } from '../lib/duration.ts'
import { version } from '../version.ts'
import { UsageError } from './errors.ts'

/** Options that several commands share. */

export const kubeconfigOption = (): Option =>
  new Option(
    '--kubeconfig <file>',
    'kubeconfig to use (default: KUBECONFIG, else the service account of the pod, else ~/.kube/config) [ENOS_KUBECONFIG]',
  )

export const contextOption = (): Option =>
  new Option('--context <name>', 'context of the kubeconfig to use (default: its current-context) [ENOS_CONTEXT]')

export const resourceNamespaceOption = (): Option =>
  new Option('-n, --namespace <name>', 'namespace of the resource (default: the namespace of the kubeconfig context)')

export const outputOption = (): Option =>
  new Option('-o, --output <format>', 'output format').choices(['text', 'json']).default('text')

export const userAgent = `enos-credential-operator/${version}`

/** @returns ms @throws UsageError that names the flag */
export function durationOf(flag: string, text: string, max: string): number {
  try {
    const ms = parseDuration(text)
    if (ms > 0 && ms <= parseDuration(max)) return ms
  } catch {
    // Thrown below, with the name of the flag.
  }
  throw new UsageError(
    `${flag}: seen ${JSON.stringify(text.slice(0, 40))}, expected a duration like 10s or 5m, at most ${max}`,
  )
}
