import { readFile } from 'node:fs/promises'
import { type OutputChunk, rolldown } from 'rolldown'
import { beforeAll, describe, expect, it } from 'vitest'
import bundles from '../../../rolldown.config.ts'
import { licensesOf } from '../../../tools/licenses.ts'
import { type Bom, bomOf, type BundledPackage, bundledPackages, installedBom } from '../../../tools/sbom.ts'

const root = new URL('../../../', import.meta.url)

interface PackageJson {
  readonly name: string
  readonly version: string
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
}

interface Lockfile {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly dev?: boolean }>>
}

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(new URL(path, root), 'utf8'))
}

/** The operator's bundle, made as the build makes it, in memory. */
async function bundleOperator(): Promise<OutputChunk> {
  const [, { output, ...input } = {}] = [bundles].flat()
  const bundle = await rolldown(input)
  const made = await bundle.generate([output ?? {}].flat()[0])
  await bundle.close()
  return made.output[0]
}

describe('the SBOM', () => {
  let installed: Bom
  let bundled: readonly BundledPackage[]
  let packages: ReadonlySet<string>
  let bundle: OutputChunk
  let bom: Bom
  let own: PackageJson
  let lockfile: Lockfile

  beforeAll(async () => {
    own = (await readJson('package.json')) as PackageJson
    lockfile = (await readJson('package-lock.json')) as Lockfile
    installed = await installedBom()
    bundle = await bundleOperator()
    bundled = await bundledPackages(bundle.map?.sources ?? [], new URL('dist/', root))
    packages = new Set(bundled.map(({ ref }) => ref))
    bom = bomOf(installed, packages)
  }, 60_000)

  it('is about a bundle of at most 2 MB of one-byte text, without the models of client-node', () => {
    // Beyond ASCII, Node.js keeps two bytes for each character.
    expect([...bundle.code.matchAll(/[^\0-\x7f]/g)]).toEqual([])
    expect(bundle.code.length).toBeLessThanOrEqual(2_000_000)
    expect(bundle.map?.sources.filter((source) => source.includes('client-node/dist/gen/models'))).toEqual([])
  })

  const refs = (): string[] => bom.components.map((component) => component['bom-ref'])

  it('lists each runtime dependency in its locked version', () => {
    const locked = Object.keys(own.dependencies).map(
      (name) => `${name}@${lockfile.packages[`node_modules/${name}`]?.version ?? ''}`,
    )
    expect(locked.length).toBeGreaterThan(0)
    expect(refs()).toEqual(expect.arrayContaining(locked))
    const direct = bom.dependencies.find(({ ref }) => ref === `${own.name}@${own.version}`)
    expect(direct?.dependsOn.toSorted()).toEqual(locked.toSorted())
  })

  it('lists what these bring along, where it is in the bundle', () => {
    // Some that tools use as well, and one of which there are two versions.
    expect(refs().map((ref) => ref.replace(/@[^@]+$/, ''))).toEqual(
      expect.arrayContaining(['js-yaml', 'debug', 'ms', 'pino-abstract-transport', 'sonic-boom']),
    )
    expect(refs().filter((ref) => ref.startsWith('sonic-boom@'))).toHaveLength(2)
  })

  it('lists no package of the tools, and none that is not in the bundle', () => {
    const names = bom.components.map(({ name }) => name)
    for (const tool of Object.keys({ ...own.devDependencies, ...own.optionalDependencies })) {
      expect(names).not.toContain(tool)
    }
    const runtime = new Set(
      Object.entries(lockfile.packages)
        .filter(([, { dev }]) => dev !== true)
        .map(([path, { version }]) => `${path.replace(/^.*node_modules\//, '')}@${version ?? ''}`),
    )
    expect(refs().filter((ref) => !runtime.has(ref))).toEqual([])
    expect(new Set(refs())).toEqual(packages)
    expect(names).not.toContain('tar-fs')
  })

  it('is about the operator, and the same for each build', () => {
    expect(bom.metadata.component).toMatchObject({ name: own.name, version: own.version })
    expect(JSON.stringify(installed)).toMatch(/"serialNumber":"urn:uuid:.*"timestamp":"2/)
    const component = { ...installed.metadata.component, name: 'another-folder' }
    const metadata = { ...installed.metadata, timestamp: '2026-01-01T00:00:00.000Z', component }
    const later = bomOf({ ...installed, serialNumber: 'urn:uuid:0', metadata }, packages)
    expect(JSON.stringify(later)).toBe(JSON.stringify(bom))
  })

  it('goes with a file that has the text of each licence, our own first', async () => {
    const text = await licensesOf(bundled)
    const own = await readFile(new URL('LICENSE', root), 'utf8')
    const [first = '', ...others] = text.split(/^={80}\n/m)
    expect(first).toBe(own)
    expect(others.map((other) => other.slice(0, other.indexOf(' ')))).toEqual([...packages].toSorted())
    for (const other of others) {
      expect(other).toMatch(/^\S+ \(\S.*\)\n\n[^]*(Permission|Redistribution|Licensed|License)/)
    }
  })

  it('has licences that let the bundle be passed on under Apache-2.0', () => {
    expect([...new Set(bundled.map(({ license }) => license))].toSorted()).toEqual([
      'Apache-2.0',
      'BSD-3-Clause',
      'ISC',
      'MIT',
    ])
  })

  it('is not made when a package has no licence text', async () => {
    const folder = new URL('src/', root)
    await expect(licensesOf([{ ref: 'left-pad@1.3.0', license: 'WTFPL', folder }])).rejects.toThrow(
      'left-pad@1.3.0 is bundled and has no licence text; get it from its author, or do without it',
    )
  })

  it('is not made when something is bundled that npm does not know', () => {
    expect(() => bomOf(installed, new Set(['left-pad@1.3.0']))).toThrow(
      'bundled, and unknown to npm: left-pad@1.3.0; run `npm ci`',
    )
  })
})
