import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { cacheDirectory, findAssets, programs, readVersions, type Way } from '../../control-plane/assets.ts'

let lines: string[]
let tried: string[]

beforeEach(() => {
  lines = []
  tried = []
})

const log = (line: string): void => void lines.push(line)

function way(name: string, result: string | Error): Way {
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

describe('the programs of the control plane', () => {
  it('are had by the first way that works, and no other is tried', async () => {
    const ways = [way('a', new Error('the variable is not set')), way('b', '/b'), way('c', '/c')]
    expect(await findAssets({ environment: {}, log, ways })).toBe('/b')
    expect(tried).toEqual(['a', 'b'])
    expect(lines).toEqual([
      'control plane: its programs are not taken from a: the variable is not set',
      'control plane: its programs are taken from b: /b',
    ])
  })

  it('that cannot be had are told with each way that was tried, and why it failed', async () => {
    const ways = [way('download', new Error('no route')), way('go build', new Error('there is no `go`'))]
    await expect(findAssets({ environment: {}, log, ways })).rejects.toThrow(
      'no way to come by etcd, kube-apiserver, kube-controller-manager, kubectl:\n' +
        '  download: no route\n' +
        '  go build: there is no `go`',
    )
  })

  it('are those of KUBEBUILDER_ASSETS where it names a folder that has all of them', async () => {
    const folder = await folderOf(programs)
    expect(await findAssets({ environment: { KUBEBUILDER_ASSETS: folder }, log })).toBe(folder)
    expect(lines).toEqual([`control plane: its programs are taken from KUBEBUILDER_ASSETS: ${folder}`])
  })

  it('are those of an earlier run where KUBEBUILDER_ASSETS lacks one', async () => {
    const incomplete = await folderOf(['etcd', 'kubectl'])
    const cache = await folderOf([])
    const environment = { KUBEBUILDER_ASSETS: incomplete, XDG_CACHE_HOME: cache }
    const directory = cacheDirectory(environment, await readVersions())
    await mkdir(directory, { recursive: true })
    for (const program of programs) await writeFile(join(directory, program), '', { mode: 0o755 })
    expect(await findAssets({ environment, log })).toBe(directory)
    expect(lines[0]).toContain(`${incomplete} has no kube-apiserver, kube-controller-manager`)
  })

  it('have the versions that go.mod pins', async () => {
    const { etcd, kubernetes } = await readVersions()
    expect(kubernetes).toMatch(/^1\.\d+\.\d+$/)
    expect(etcd).toMatch(/^3\.\d+\.\d+$/)
  })
})
