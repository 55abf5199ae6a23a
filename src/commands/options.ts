import { Option } from 'commander'
import { variableOf } from '../config/flags.ts'
import { misspelledVariables } from '../config/misspelled-variables.ts'
import { parseDuration } from '../lib/duration.ts'
import { version } from '../version.ts'
import type { CommandContext } from './context.ts'
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

/** @param more variables that the command reads, besides those that choose the API server */
export function warnOfMisspelled(
  { environment, printError }: Pick<CommandContext, 'environment' | 'printError'>,
  more: readonly string[] = [],
): void {
  const known = [variableOf('kubeconfig'), variableOf('context'), ...more]
  for (const { nearest, variable } of misspelledVariables(Object.keys(environment), known)) {
    printError(`enos-credential-operator: the environment variable ${variable} is unknown, did you mean ${nearest}?\n`)
  }
}

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
