import { access, constants, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { build } from './build.ts'
import { download } from './download.ts'

/** The programs of a control plane that tests need. */
export const programs = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl'] as const

/** One way to come by the programs. */
export interface Way {
  readonly name: string
  /** @returns a folder that has all of them @throws with a message that says why this way does not work */
  readonly find: () => Promise<string>
}

export interface AssetsOptions {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Progress, a line at a time. */
  readonly log: (line: string) => void
  /** Default: those below. */
  readonly ways?: readonly Way[]
  /** Ends a download or a build. */
  readonly signal?: AbortSignal
}

/** Of a download or a build. */
export interface ProgressOptions {
  /** Progress, a line at a time. */
  readonly log: (line: string) => void
  readonly signal: AbortSignal | undefined
}

/** Versions of what is fetched, as go.mod pins what is built. */
export interface Versions {
  /** Like `1.36.3`. */
  readonly kubernetes: string
  readonly etcd: string
}

/**
 * Finds the programs, by the first way that works.
 *
 * @returns the folder
 * @throws an error that names each way that was tried, and why it failed
 */
export async function findAssets(options: AssetsOptions): Promise<string> {
  const { log, ways } = options
  const failures: string[] = []
  for (const way of ways ?? (await defaultWays(options))) {
    try {
      const directory = await way.find()
      log(`control plane: its programs are taken from ${way.name}: ${directory}`)
      return directory
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      failures.push(`  ${way.name}: ${reason}`)
      log(`control plane: its programs are not taken from ${way.name}: ${reason}`)
    }
  }
  throw new Error(`no way to come by ${programs.join(', ')}:\n${failures.join('\n')}`)
}

async function defaultWays({ environment, log, signal }: AssetsOptions): Promise<Way[]> {
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

/** Outside of the repository, so that every clone on a machine has it. */
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
    const isThere = await access(join(directory, program), constants.X_OK).then(
      () => true,
      () => false,
    )
    if (!isThere) missing.push(program)
  }
  if (missing.length > 0) throw new Error(`${directory} has no ${missing.join(', ')}`)
  return directory
}
