import { parseArgs } from 'node:util'

export interface Arguments {
  /** Names of the measures to run. */
  readonly only: readonly string[]
  /** Directory for CPU profiles of the operator. */
  readonly profile: string | undefined
}

export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** @throws UsageError */
export function parseArguments(argv: readonly string[], names: readonly string[]): Arguments {
  const { only = names, profile } = parse(argv)
  for (const name of only) {
    if (!names.includes(name)) throw new UsageError(`--only: expected one of ${names.join(', ')}`)
  }
  return { only, profile }
}

function parse(argv: readonly string[]): { only?: string[] | undefined; profile?: string | undefined } {
  try {
    const options = { only: { type: 'string', multiple: true }, profile: { type: 'string' } } as const
    return parseArgs({ args: [...argv], options }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : 'invalid arguments')
  }
}
