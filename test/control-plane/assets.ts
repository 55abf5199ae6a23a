import { access, constants, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from './build.ts'
import { download } from './download.ts'

/** Programs of the control plane that tests need. */
export const programs = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl'] as const
/** Programs of a cluster that runs pods (test/node). */
export const nodePrograms = [...programs, 'kube-scheduler', 'kubelet'] as const

/** Versions of Kubernetes to test on, each pinned by a module file of this folder. */
export const variants = ['oldest', 'default', 'newest'] as const
export type Variant = (typeof variants)[number]

/** A source of the programs. */
export interface AssetSource {
  readonly name: string
  /** @returns a folder that has all of them @throws an error that says why this source does not work */
  readonly find: () => Promise<string>
}

export interface AssetsOptions {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Progress, a line at a time. */
  readonly log: (line: string) => void
  /** Programs that the folder must have. Default: the control plane's. */
  readonly needed?: readonly string[]
  /** Tried in this order. Default: environment, cache, download, build. */
  readonly sources?: readonly AssetSource[]
  /** Ends a download or a build. */
  readonly signal?: AbortSignal
}

/** Of a download or a build. */
export interface ProgressOptions {
  /** Programs to put into the folder; others in it stay. */
  readonly missing: readonly string[]
  /** Progress, a line at a time. */
  readonly log: (line: string) => void
  readonly signal: AbortSignal | undefined
}

/** Versions to download; the module file pins them for builds. */
export interface Versions {
  /** Path of the module file. */
  readonly moduleFile: string
  /** Like `1.36.3`. */
  readonly kubernetes: string
  readonly etcd: string
}

/**
 * Finds the programs in the first source that works.
 *
 * @returns the folder
 * @throws an error that names each source and why it failed
 */
export async function findAssets(options: AssetsOptions): Promise<string> {
  const { log, needed = programs } = options
  const failures: string[] = []
  for (const source of options.sources ?? (await defaultSources(options, needed))) {
    try {
      const directory = await source.find()
      log(`control plane: using the programs of ${source.name}: ${directory}`)
      return directory
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      failures.push(`  ${source.name}: ${reason}`)
      log(`control plane: not using ${source.name}: ${reason}`)
    }
  }
  throw new Error(`no source has ${needed.join(', ')}:\n${failures.join('\n')}`)
}

async function defaultSources(
  { environment, log, signal }: AssetsOptions,
  needed: readonly string[],
): Promise<AssetSource[]> {
  const versions = await readVersions(variantOf(environment))
  const cache = cacheDirectory(environment, versions)
  const missing = await missingPrograms(cache, needed)
  return [
    { name: 'KUBEBUILDER_ASSETS', find: () => fromVariable(environment['KUBEBUILDER_ASSETS'], needed) },
    { name: 'the cache of earlier runs', find: () => complete(cache, needed) },
    { name: 'a download', find: () => download(versions, cache, { log, missing, signal }) },
    { name: 'a build with go', find: () => build(versions, cache, { log, missing, signal }) },
  ]
}

/** The variant that KUBERNETES_VERSION names. @throws for any other word */
export function variantOf(environment: AssetsOptions['environment']): Variant {
  const word = environment['KUBERNETES_VERSION'] || 'default'
  const variant = variants.find((one) => one === word)
  if (variant === undefined) throw new Error(`KUBERNETES_VERSION is ${word}: expected one of ${variants.join(', ')}`)
  return variant
}

/** The versions that a module file pins. */
export async function readVersions(variant: Variant = 'default'): Promise<Versions> {
  const name = variant === 'default' ? 'go.mod' : `${variant}.mod`
  const moduleFile = fileURLToPath(new URL(name, import.meta.url))
  const text = await readFile(moduleFile, 'utf8')
  const versionOf = (module: string): string => {
    const version = new RegExp(`^(?:require |\\s*)${module} v(\\S+)`, 'm').exec(text)?.[1]
    if (version === undefined) throw new Error(`${name} names no version of ${module}`)
    return version
  }
  return { moduleFile, kubernetes: versionOf('k8s.io/kubernetes'), etcd: versionOf('go.etcd.io/etcd/server/v3') }
}

/** Outside of the repository, so that all clones on a machine share it. */
export function cacheDirectory(environment: AssetsOptions['environment'], { kubernetes }: Versions): string {
  const base = environment['XDG_CACHE_HOME'] ?? join(environment['HOME'] ?? homedir(), '.cache')
  return join(base, 'enos-credential-operator', 'control-plane', `${kubernetes}-${process.platform}-${process.arch}`)
}

async function fromVariable(directory: string | undefined, needed: readonly string[]): Promise<string> {
  if (directory === undefined || directory === '') throw new Error('the variable is not set')
  return await complete(directory, needed)
}

/** @throws when a program is missing */
async function complete(directory: string, needed: readonly string[]): Promise<string> {
  const missing = await missingPrograms(directory, needed)
  if (missing.length > 0) throw new Error(`${directory} has no ${missing.join(', ')}`)
  return directory
}

async function missingPrograms(directory: string, needed: readonly string[]): Promise<string[]> {
  const missing: string[] = []
  for (const program of needed) {
    const isExecutable = await access(join(directory, program), constants.X_OK).then(
      () => true,
      () => false,
    )
    if (!isExecutable) missing.push(program)
  }
  return missing
}
