import { spawn } from 'node:child_process'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ProgressOptions, Versions } from './assets.ts'

/** Packages of the programs; go.mod pins their modules as tools. */
const packages = [
  'go.etcd.io/etcd/server/v3',
  'k8s.io/kubernetes/cmd/kube-apiserver',
  'k8s.io/kubernetes/cmd/kube-controller-manager',
  'k8s.io/kubernetes/cmd/kubectl',
]

/** Builds the programs with Go: some minutes with an empty build cache. @returns `target` */
export async function build(
  { kubernetes }: Versions,
  target: string,
  { log, signal }: ProgressOptions,
): Promise<string> {
  const go = await run(['version'], signal)
  log(`control plane: building with ${go.trim()}; this takes some minutes, once`)
  const [major = '', minor = ''] = kubernetes.split('.')
  const versionPackage = 'k8s.io/component-base/version'
  const ldflags = [
    '-s -w',
    `-X ${versionPackage}.gitVersion=v${kubernetes}`,
    `-X ${versionPackage}.gitMajor=${major}`,
    `-X ${versionPackage}.gitMinor=${minor}`,
  ].join(' ')
  // Moved into place when complete, so that an interrupted build leaves no half of it.
  const partial = `${target}.${process.pid}`
  try {
    await mkdir(partial, { recursive: true })
    const begunAt = performance.now()
    // In one go: a program is linked, on one core, while others are compiled.
    await run(['build', '-ldflags', ldflags, '-o', `${partial}/`, ...packages], signal)
    // Go names a program after its package.
    await rename(join(partial, 'server'), join(partial, 'etcd'))
    log(`control plane: built in ${Math.round((performance.now() - begunAt) / 1000)} s`)
    await mkdir(dirname(target), { recursive: true })
    await rm(target, { recursive: true, force: true })
    await rename(partial, target)
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
