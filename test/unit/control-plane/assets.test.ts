import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import {
  type AssetSource,
  cacheDirectory,
  findAssets,
  nodePrograms,
  programs,
  readVersions,
  variantOf,
  variants,
} from '../../control-plane/assets.ts'

let lines: string[]
let tried: string[]

beforeEach(() => {
  lines = []
  tried = []
})

const log = (line: string): void => void lines.push(line)

function source(name: string, result: string | Error): AssetSource {
  return {
    name,
    find: () => {
      tried.push(name)
      return result instanceof Error ? Promise.reject(result) : Promise.resolve(result)
    },
  }
}

async function folderOf(names: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'assets-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  for (const name of names) {
    await writeFile(join(folder, name), '')
    await chmod(join(folder, name), 0o755)
  }
  return folder
}

describe('findAssets', () => {
  it('uses the first source that works and tries no other', async () => {
    const sources = [source('a', new Error('the variable is not set')), source('b', '/b'), source('c', '/c')]
    expect(await findAssets({ environment: {}, log, sources })).toBe('/b')
    expect(tried).toEqual(['a', 'b'])
    expect(lines).toEqual([
      'control plane: not using a: the variable is not set',
      'control plane: using the programs of b: /b',
    ])
  })

  it('names each source and why it failed when none works', async () => {
    const sources = [source('download', new Error('no route')), source('go build', new Error('there is no `go`'))]
    await expect(findAssets({ environment: {}, log, sources })).rejects.toThrow(
      'no source has etcd, kube-apiserver, kube-controller-manager, kubectl:\n' +
        '  download: no route\n' +
        '  go build: there is no `go`',
    )
  })

  it('uses KUBEBUILDER_ASSETS where it names a complete folder', async () => {
    const folder = await folderOf(programs)
    expect(await findAssets({ environment: { KUBEBUILDER_ASSETS: folder }, log })).toBe(folder)
    expect(lines).toEqual([`control plane: using the programs of KUBEBUILDER_ASSETS: ${folder}`])
  })

  it('uses the cache of an earlier run where KUBEBUILDER_ASSETS lacks a program', async () => {
    const incomplete = await folderOf(['etcd', 'kubectl'])
    const cache = await folderOf([])
    const environment = { KUBEBUILDER_ASSETS: incomplete, XDG_CACHE_HOME: cache }
    const directory = cacheDirectory(environment, await readVersions())
    await mkdir(directory, { recursive: true })
    for (const program of programs) await writeFile(join(directory, program), '', { mode: 0o755 })
    expect(await findAssets({ environment, log })).toBe(directory)
    expect(lines[0]).toContain(`${incomplete} has no kube-apiserver, kube-controller-manager`)
  })

  it('asks for the programs of a node only where they are needed', async () => {
    const folder = await folderOf(programs)
    const sources = [{ name: 'folder', find: () => Promise.resolve(folder) }]
    expect(await findAssets({ environment: {}, log, sources })).toBe(folder)
    const environment = { KUBEBUILDER_ASSETS: folder, XDG_CACHE_HOME: await folderOf([]), PATH: '' }
    const signal = AbortSignal.abort()
    await expect(findAssets({ environment, log, needed: nodePrograms, signal })).rejects.toThrow(
      `${folder} has no kube-scheduler, kubelet`,
    )
  })
})

describe('readVersions', () => {
  it.for(variants)('reads the versions that the module file of the %s Kubernetes pins', async (variant) => {
    const { etcd, kubernetes } = await readVersions(variant)
    expect(kubernetes).toMatch(/^1\.\d+\.\d+$/)
    expect(etcd).toMatch(/^3\.\d+\.\d+$/)
  })

  it('has the variants in the order of their versions', async () => {
    const minors: number[] = []
    for (const variant of variants) minors.push(Number((await readVersions(variant)).kubernetes.split('.')[1]))
    expect(minors).toEqual(minors.toSorted((a, b) => a - b))
    expect(new Set(minors).size).toBe(minors.length)
  })
})

describe('variantOf', () => {
  it('takes the word of KUBERNETES_VERSION, and the default without one', () => {
    expect(variantOf({ KUBERNETES_VERSION: 'oldest' })).toBe('oldest')
    expect(variantOf({ KUBERNETES_VERSION: '' })).toBe('default')
    expect(variantOf({})).toBe('default')
  })

  it('refuses another word', () => {
    expect(() => variantOf({ KUBERNETES_VERSION: '1.30' })).toThrow(
      'KUBERNETES_VERSION is 1.30: expected one of oldest, default, newest',
    )
  })
})
