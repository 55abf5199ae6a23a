import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../..', import.meta.url))

async function read(path: string): Promise<string> {
  return await readFile(join(root, path), 'utf8')
}

interface PackageJson {
  readonly version: string
  readonly engines: { readonly node: string }
  readonly scripts: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
}

const packageJson = JSON.parse(await read('package.json')) as PackageJson
const pages = ['README.md', ...(await readdir(join(root, 'docs'), { recursive: true })).filter(isPage).map(inDocs)]

function isPage(path: string): boolean {
  return path.endsWith('.md')
}

function inDocs(path: string): string {
  return join('docs', path)
}

describe('the documentation', () => {
  it('gives a reason for each runtime dependency, and for no other', async () => {
    const named = [...(await read('docs/dependencies.md')).matchAll(/^\| `([^`]+)` +\| \S/gm)].map(([, name]) => name)
    expect(named).toEqual(Object.keys(packageJson.dependencies).sort())
  })

  it.each(pages)('%s has no link to a file that is not there', async (page) => {
    const links = [...(await read(page)).matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link]) => link ?? '')
    for (const link of links) {
      await expect(readFile(join(root, dirname(page), link)), `${page}: ${link}`).resolves.toBeDefined()
    }
  })

  it.each(pages)('%s names no target of make that is not there', async (page) => {
    const targets = [...(await read('Makefile')).matchAll(/^([a-z-]+):/gm)].map(([, target]) => target)
    const used = [...(await read(page)).matchAll(/(?:^|`)make ([a-z-]+)/gm)].map(([, target]) => target)
    expect(targets).toEqual(expect.arrayContaining(used))
  })
})

describe('the image', () => {
  it('is built of files that are there, with the Node that package.json asks for, and the flags of npm start', async () => {
    const dockerfile = await read('Dockerfile')
    for (const [, sources = ''] of dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
      for (const source of sources.split(' ')) expect(await readdir(root)).toContain(source)
    }
    const major = /\d+/.exec(packageJson.engines.node)?.[0]
    expect(dockerfile).toContain(`node:${major} AS build`)
    expect(dockerfile).toContain(`nodejs${major}-debian12`)
    const flags = /^node (--\S+) /.exec(packageJson.scripts['start'] ?? '')?.[1]
    expect(dockerfile).toContain(`"${flags}"`)
  })

  it('has the version that package.json and the manifests have', async () => {
    expect(await read('Dockerfile')).toContain(`ARG VERSION=${packageJson.version}`)
    const image = `image: enos-credential-operator:${packageJson.version}`
    expect(await read('deploy/base/deployment.yaml')).toContain(image)
    expect(await read('CHANGELOG.md')).toContain(`## [${packageJson.version}]`)
  })
})
