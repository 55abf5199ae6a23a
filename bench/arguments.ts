import { parseArgs } from 'node:util'

export interface Arguments {
  /** Resources of the main run. */
  readonly resources: number
  /** How many targets are deleted by hand, one after another. */
  readonly repairs: number
  /** A cluster that runs already, as an administrator and as the operator. Undefined: one is started for the run. */
  readonly cluster: { readonly adminKubeconfig: string; readonly operatorKubeconfig: string } | undefined
  /** Where the report is written too. */
  readonly write: string | undefined
  /** Where the operator's CPU profiles go. */
  readonly profile: string | undefined
}

export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** @throws UsageError */
export function readArguments(argv: readonly string[]): Arguments {
  const { values } = parse(argv)
  const { 'admin-kubeconfig': adminKubeconfig, 'operator-kubeconfig': operatorKubeconfig } = values
  if ((adminKubeconfig === undefined) !== (operatorKubeconfig === undefined)) {
    throw new UsageError('--admin-kubeconfig and --operator-kubeconfig go together')
  }
  const isGiven = adminKubeconfig !== undefined && operatorKubeconfig !== undefined
  return {
    resources: count('--resources', values.resources, 20_000),
    repairs: count('--repairs', values.repairs, 1000),
    cluster: isGiven ? { adminKubeconfig, operatorKubeconfig } : undefined,
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
    throw new UsageError(error instanceof Error ? error.message : 'the arguments cannot be read')
  }
}

function count(option: string, text: string, largest: number): number {
  const value = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0
  if (value < 5 || value > largest) throw new UsageError(`${option}: expected a whole number from 5 to ${largest}`)
  return value
}
