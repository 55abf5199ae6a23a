import { access, constants, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { build } from './build.ts'
import { download } from './download.ts'

/** Programs of the control plane that tests need. */
export const programs = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl'] as const

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
  /** Tried in this order. Default: environment, cache, download, build. */
  readonly sources?: readonly AssetSource[]
  /** Ends a download or a build. */
  readonly signal?: AbortSignal
}

/** Of a download or a build. */
export interface ProgressOptions {
  /** Progress, a line at a time. */
  readonly log: (line: string) => void
  readonly signal: AbortSignal | undefined
}

/** Versions to download; go.mod pins them for builds. */
export interface Versions {
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
  const { log, sources } = options
  const failures: string[] = []
  for (const source of sources ?? (await defaultSources(options))) {
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
  throw new Error(`no source has ${programs.join(', ')}:\n${failures.join('\n')}`)
}

async function defaultSources({ environment, log, signal }: AssetsOptions): Promise<AssetSource[]> {
  const versions = await readVersions()
  const cache = cacheDirectory(environment, versions)
  return [
    { name: 'KUBEBUILDER_ASSETS', find: () => fromVariable(environment['KUBEBUILDER_ASSETS']) },
    { name: 'the cache of earlier runs', find: () => complete(cache) },
    { name: 'a download', find: () => download(versions, cache, { log, signal }) },
    { name: 'a build with go', find: () => build(versions, cache, { log, signal }) },
  ]
}

/** The versions that go.mod pins. */
export async function readVersions(): Promise<Versions> {
  const text = await readFile(new URL('go.mod', import.meta.url), 'utf8')
  const versionOf = (module: string): string => {
    const version = new RegExp(`^\\s*${module} v(\\S+)`, 'm').exec(text)?.[1]
    if (version === undefined) throw new Error(`go.mod names no version of ${module}`)
    return version
  }
  return { kubernetes: versionOf('k8s.io/kubernetes'), etcd: versionOf('go.etcd.io/etcd/server/v3') }
}

/** Outside of the repository, so that all clones on a machine share it. */
export function cacheDirectory(environment: AssetsOptions['environment'], { kubernetes }: Versions): string {
  const base = environment['XDG_CACHE_HOME'] ?? join(environment['HOME'] ?? homedir(), '.cache')
  return join(base, 'enos-credential-operator', 'control-plane', `${kubernetes}-${process.platform}-${process.arch}`)
}

async function fromVariable(directory: string | undefined): Promise<string> {
  if (directory === undefined || directory === '') throw new Error('the variable is not set')
  return await complete(directory)
}

/** @throws when a program is missing */
export async function complete(directory: string): Promise<string> {
  const missing: string[] = []
  for (const program of programs) {
    const isExecutable = await access(join(directory, program), constants.X_OK).then(
      () => true,
      () => false,
    )
    if (!isExecutable) missing.push(program)
  }
  if (missing.length > 0) throw new Error(`${directory} has no ${missing.join(', ')}`)
  return directory
}
