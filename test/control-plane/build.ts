import { spawn } from 'node:child_process'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ProgressOptions, Versions } from './assets.ts'
import { moveInto } from './move-into.ts'

/** The module file pins the modules of these packages as tools. */
const etcdPackage = 'go.etcd.io/etcd/server/v3'
const packageOf = (program: string): string => (program === 'etcd' ? etcdPackage : `k8s.io/kubernetes/cmd/${program}`)

/** Builds the missing programs with Go: some minutes with an empty build cache. @returns `target` */
export async function build(
  { kubernetes, moduleFile }: Versions,
  target: string,
  { log, missing, signal }: ProgressOptions,
): Promise<string> {
  const go = await run(['version'], signal)
  log(`control plane: building Kubernetes ${kubernetes} with ${go.trim()}; this takes some minutes, once`)
  const [major = '', minor = ''] = kubernetes.split('.')
  const versionPackage = 'k8s.io/component-base/version'
  const ldflags = [
    '-s -w',
    `-X ${versionPackage}.gitVersion=v${kubernetes}`,
    `-X ${versionPackage}.gitMajor=${major}`,
    `-X ${versionPackage}.gitMinor=${minor}`,
  ].join(' ')
  const partial = `${target}.${process.pid}`
  try {
    await mkdir(partial, { recursive: true })
    const begunAt = performance.now()
    const flags = ['-modfile', moduleFile, '-ldflags', ldflags, '-o', `${partial}/`]
    // In one go: a program is linked, on one core, while others are compiled.
    await run(['build', ...flags, ...missing.map(packageOf)], signal)
    // Go names a program after its package.
    if (missing.includes('etcd')) await rename(join(partial, 'server'), join(partial, 'etcd'))
    log(`control plane: built in ${Math.round((performance.now() - begunAt) / 1000)} s`)
    await moveInto(target, partial, missing)
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
  return target
}

async function run(args: readonly string[], signal: AbortSignal | undefined): Promise<string> {
  const child = spawn('go', args, {
    cwd: dirname(fileURLToPath(import.meta.url)),
    env: { ...process.env, CGO_ENABLED: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      reject(new Error(error.code === 'ENOENT' ? '`go` is not on the PATH' : `go cannot be run: ${error.message}`))
    })
    child.once('close', resolve)
  })
  const lastLines = output.trim().split('\n').slice(-5).join('\n    ')
  if (code !== 0) throw new Error(`go ${args[0] ?? ''} failed with exit code ${code}:\n    ${lastLines}`)
  return output
}
