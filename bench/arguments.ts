import { parseArgs } from 'node:util'

export interface Arguments {
  /** Number of resources in the main run. */
  readonly resources: number
  /** Number of targets that are deleted, one after another. */
  readonly repairs: number
  /** Kubeconfigs of a running cluster for administrator and operator. Undefined starts a cluster for the run. */
  readonly cluster: { readonly adminKubeconfig: string; readonly operatorKubeconfig: string } | undefined
  /** File to write the report to, beside standard output. */
  readonly write: string | undefined
  /** Directory for CPU profiles of the operator. */
  readonly profile: string | undefined
}

export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** @throws UsageError */
export function parseArguments(argv: readonly string[]): Arguments {
  const { values } = parse(argv)
  const { 'admin-kubeconfig': adminKubeconfig, 'operator-kubeconfig': operatorKubeconfig } = values
  if ((adminKubeconfig === undefined) !== (operatorKubeconfig === undefined)) {
    throw new UsageError('--admin-kubeconfig and --operator-kubeconfig go together: expected both, seen one')
  }
  const hasCluster = adminKubeconfig !== undefined && operatorKubeconfig !== undefined
  return {
    resources: parseCount('--resources', values.resources, 20_000),
    repairs: parseCount('--repairs', values.repairs, 1000),
    cluster: hasCluster ? { adminKubeconfig, operatorKubeconfig } : undefined,
    write: values.write,
    profile: values.profile,
  }
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        resources: { type: 'string', default: '1000' },
        repairs: { type: 'string', default: '20' },
        'admin-kubeconfig': { type: 'string' },
        'operator-kubeconfig': { type: 'string' },
        write: { type: 'string' },
        profile: { type: 'string' },
      },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : 'invalid arguments')
  }
}

function parseCount(option: string, text: string, max: number): number {
  const value = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0
  if (value < 5 || value > max) throw new UsageError(`${option}: expected a whole number from 5 to ${max}`)
  return value
}
