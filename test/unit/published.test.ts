import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { chartName, home, imageName, registry } from '../../tools/published.ts'

const root = join(import.meta.dirname, '../..')

async function read(path: string): Promise<string> {
  return await readFile(join(root, path), 'utf8')
}

describe('published.json', () => {
  it('has a registry and a home page, as names that images and links can begin with', () => {
    expect(registry).toMatch(/^[a-z0-9.-]+(:\d+)?(\/[a-z0-9._-]+)*$/)
    expect(home).toMatch(/^https:\/\/[^/]+\/.*[^/]$/)
  })

  it.each([
    ['Dockerfile', `org.opencontainers.image.source="${home}"`],
    ['Dockerfile', `org.opencontainers.image.url="${home}"`],
    ['deploy/base/deployment.yaml', `image: ${imageName}:`],
    ['deploy/helm/enos-credential-operator/values.yaml', `repository: ${imageName}\n`],
    ['deploy/helm/enos-credential-operator/Chart.yaml', `home: ${home}\n`],
  ])('is what %s says: %s', async (file, text) => {
    expect(await read(file)).toContain(text)
  })

  it('is the only source of the names of images, charts and pages in any file', async () => {
    const { stdout } = await promisify(execFile)('git', [
      '-C',
      root,
      'grep',
      '-hoIE',
      '[a-z0-9./:-]+/enos-credential-operator\\b',
    ])
    const hosted = [...new Set(stdout.trim().split('\n'))].filter((name) =>
      /^(oci:\/\/|https:\/\/)?([a-z0-9-]+\.)+(com|io|org)[:/]/.test(name),
    )
    // The last is where a user of the examples keeps images.
    const known = [home, imageName, chartName, 'registry.plant.example.com/enos-credential-operator']
    expect(hosted.filter((name) => !known.includes(name))).toEqual([])
    expect(hosted).toEqual(expect.arrayContaining([home, imageName]))
  })
})
