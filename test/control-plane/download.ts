import { createHash } from 'node:crypto'
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../support/run.ts'
import type { ProgressOptions, Versions } from './assets.ts'
import { moveInto } from './move-into.ts'

/** Maximum wait before a machine without internet falls back to a build. */
const reachLimitMs = 5000
const downloadLimitMs = 10 * 60_000

/** Downloads the official programs and checks their published digests. @returns `target` */
export async function download(
  { etcd, kubernetes }: Versions,
  target: string,
  { log, missing, signal }: ProgressOptions,
): Promise<string> {
  if (process.platform !== 'linux') {
    throw new Error(`kube-apiserver is published for linux only, not ${process.platform}`)
  }
  const arch = process.arch === 'x64' ? 'amd64' : process.arch
  const kubernetesBase = `https://dl.k8s.io/v${kubernetes}/bin/linux/${arch}`
  const get = (url: string): Promise<Buffer> => fetchAll(url, signal)
  await reach(`${kubernetesBase}/kubectl.sha256`)

  const partial = `${target}.${process.pid}`
  try {
    await mkdir(partial, { recursive: true })
    for (const program of missing.filter((one) => one !== 'etcd')) {
      log(`control plane: downloading ${program} ${kubernetes}`)
      const digest = (await get(`${kubernetesBase}/${program}.sha256`)).toString().trim()
      await writeFile(join(partial, program), checked(await get(`${kubernetesBase}/${program}`), digest, program))
    }
    if (missing.includes('etcd')) await downloadEtcd({ version: etcd, arch }, partial, { log, get })
    for (const program of missing) await chmod(join(partial, program), 0o755)
    await moveInto(target, partial, missing)
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
  return target
}

async function downloadEtcd(
  { arch, version }: { readonly version: string; readonly arch: string },
  directory: string,
  { get, log }: { readonly get: (url: string) => Promise<Buffer>; readonly log: (line: string) => void },
): Promise<void> {
  log(`control plane: downloading etcd ${version}`)
  const base = `https://github.com/etcd-io/etcd/releases/download/v${version}`
  const name = `etcd-v${version}-linux-${arch}`
  const sums = (await get(`${base}/SHA256SUMS`)).toString()
  const digest =
    sums
      .split('\n')
      .find((line) => line.endsWith(`${name}.tar.gz`))
      ?.split(/\s/)[0] ?? ''
  const archive = join(directory, 'etcd.tar.gz')
  await writeFile(archive, checked(await get(`${base}/${name}.tar.gz`), digest, 'etcd'))
  await run('tar', ['-xzf', archive, '-C', directory, '--strip-components=1', `${name}/etcd`])
  await rm(archive)
}

async function reach(url: string): Promise<void> {
  try {
    const response = await fetch(url, { method: 'HEAD', signal: AbortSignal.timeout(reachLimitMs) })
    if (!response.ok) throw new Error(`HTTP ${response.status}`)
  } catch (error) {
    throw new Error(`${new URL(url).host} cannot be reached (${reasonOf(error)})`, { cause: error })
  }
}

async function fetchAll(url: string, signal: AbortSignal | undefined): Promise<Buffer> {
  const timeout = AbortSignal.timeout(downloadLimitMs)
  const response = await fetch(url, { signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]) })
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`)
  return Buffer.from(await response.arrayBuffer())
}

function checked(content: Buffer, digest: string, what: string): Buffer {
  const seen = createHash('sha256').update(content).digest('hex')
  if (seen !== digest) throw new Error(`${what}: sha256 is ${seen}, expected ${digest}`)
  return content
}

function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown }
  if (cause instanceof Error && 'code' in cause) return String(cause.code)
  return error instanceof Error ? error.message : String(error)
}
