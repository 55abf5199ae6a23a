/** Settings of V8 and of the C library, the same for `npm start`, image, chart, tests and benchmark. */

/**
 * MiB of each half of the young generation. With 4, the 64 syncs in flight outlive it, which costs a fifth more CPU; with
 * the 16 of V8, 14 MiB more stay resident.
 */
const maxSemiSpaceMiB = 8
/**
 * The old generation's share of the container's limit. 10,000 resources and 20,000 other Secrets have 99 MiB of live
 * objects; code, buffers and the young generation take 50 MiB of anonymous memory beside them.
 */
const heapShare = 0.6
/** MiB, where there is no limit. V8 takes a share of the machine, so garbage would grow to gigabytes. */
const unlimitedHeapMiB = 512
const mebibyte = 1024 * 1024

export interface ProcessSettings {
  /** The options of Node that this process was started with. */
  readonly execArgv: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Bytes. Without a limit, `limit` is 0 or more than the machine has. */
  readonly memory: { readonly limit: number; readonly machine: number }
}

/** The flags to add. What execArgv or NODE_OPTIONS already set, stays. */
export function missingFlags({ environment, execArgv, memory }: ProcessSettings): string[] {
  const options = [...execArgv, ...(environment['NODE_OPTIONS'] ?? '').split(/\s+/)]
  const names = new Set(options.map((option) => option.replace(/=.*/s, '').replaceAll('_', '-')))
  const heap = ['--max-old-space-size', '--max-old-space-size-percentage', '--max-heap-size']
  return [
    // For `IdleCollector`.
    ...(names.has('--expose-gc') ? [] : ['--expose-gc']),
    ...(names.has('--max-semi-space-size') ? [] : [`--max-semi-space-size=${maxSemiSpaceMiB}`]),
    ...(heap.some((name) => names.has(name)) ? [] : [`--max-old-space-size=${heapMiB(memory)}`]),
  ]
}

function heapMiB({ limit, machine }: ProcessSettings['memory']): number {
  return limit > 0 && limit < machine ? Math.floor((limit * heapShare) / mebibyte) : unlimitedHeapMiB
}

/**
 * For glibc. With an arena for each thread it keeps more memory than it needs. It raises the threshold to the size of each
 * larger buffer that was freed, unless it is set; buffers below it leave holes in the heap that stay resident.
 */
export const runtimeEnvironment = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '16384' }

/** Tells the process that is launched which of the variables above the user did not set. */
const addedVariable = 'ENOS_LAUNCHER_ADDED'

type Environment = Readonly<Record<string, string | undefined>>

/** The environment to launch with. What the user set, stays. */
export function launchEnvironment(environment: Environment): Environment {
  const added = Object.keys(runtimeEnvironment).filter((name) => environment[name] === undefined)
  return { ...runtimeEnvironment, ...environment, [addedVariable]: added.join(',') }
}

/** The launcher's own variables, which credential plugins would inherit. glibc has read them when the process runs. */
export function launcherVariables({ [addedVariable]: added }: Environment): string[] {
  if (added === undefined) return []
  const names = added.split(',')
  return [addedVariable, ...Object.keys(runtimeEnvironment).filter((name) => names.includes(name))]
}
