import { copyFile, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { publint } from 'publint'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { imageName } from '../../tools/published.ts'
import { cloneTo } from '../support/clone.ts'
import { run, runToEnd } from '../support/run.ts'

const root = join(import.meta.dirname, '../..')
const release = join(root, 'dist/release')

interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec?: {
    readonly template?: { readonly spec: { readonly containers: readonly { readonly image: string }[] } }
  }
}

describe('the files of a release', () => {
  let scratch: string
  let version: string
  let npmPackage: string
  let sums: string

  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'release-'))
    version = (JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }).version
    await run('make', ['--silent', '-C', root, 'release-artifacts'])
    sums = await readFile(join(release, 'SHA256SUMS'), 'utf8')
    npmPackage = join(scratch, 'npm/package')
    await mkdir(dirname(npmPackage))
    const tgz = join(release, `enos-credential-operator-npm-${version}.tgz`)
    await run('tar', ['-xzf', tgz, '-C', dirname(npmPackage)])
  })

  afterAll(async () => {
    await rm(scratch, { recursive: true, force: true })
  })

  it('are all there, each with its sum', async () => {
    const names = ['install.yaml', 'install-namespaced.yaml', 'crds.yaml', 'sbom.cdx.json']
    const packages = ['enos-credential-operator', 'enos-credential-operator-npm'].map(
      (name) => `${name}-${version}.tgz`,
    )
    const all = [...names, ...packages].toSorted()
    expect(await readdir(release)).toEqual([...all, 'SHA256SUMS'].toSorted())
    expect([...sums.matchAll(/^\w{64} {2}(.+)$/gm)].map(([, name]) => name)).toEqual(all)
    await run('sh', ['-c', `cd '${release}' && sha256sum --quiet --check SHA256SUMS`])
  })

  it('have the same sums from another folder', async () => {
    const folder = join(scratch, 'clone')
    await cloneTo(folder)
    await run('make', ['--silent', '-C', folder, 'release-artifacts'])
    expect(await readFile(join(folder, 'dist/release/SHA256SUMS'), 'utf8')).toBe(sums)
  }, 600_000)

  it('have one version', async () => {
    const chart = await run('tar', [
      '-xzOf',
      join(release, `enos-credential-operator-${version}.tgz`),
      'enos-credential-operator/Chart.yaml',
    ])
    expect(parse(chart)).toMatchObject({ version, appVersion: version })
    const sbom = JSON.parse(await readFile(join(release, 'sbom.cdx.json'), 'utf8')) as {
      metadata: { component: object }
    }
    expect(sbom.metadata.component).toMatchObject({ name: 'enos-credential-operator', version })
    expect(JSON.parse(await readFile(join(npmPackage, 'package.json'), 'utf8'))).toMatchObject({ version })
    expect(await run(process.execPath, [join(npmPackage, 'dist/main.js'), '--version'])).toBe(`${version}\n`)
    const images = (await installed())
      .flatMap(({ spec }) => spec?.template?.spec.containers ?? [])
      .map(({ image }) => image)
    expect(images).toEqual([`${imageName}:${version}`])
  })

  async function installed(): Promise<Manifest[]> {
    const documents = parseAllDocuments(await readFile(join(release, 'install.yaml'), 'utf8'))
    return documents.map((document) => document.toJS() as Manifest)
  }

  it('install the CRD that stands alone, too', async () => {
    const crd = parse(await readFile(join(release, 'crds.yaml'), 'utf8')) as Manifest
    const same = (await installed()).find(({ kind }) => kind === 'CustomResourceDefinition')
    expect(same).toMatchObject(crd)
  })

  describe('the npm package', () => {
    it('has no dependencies, no scripts, and can be published', async () => {
      const manifest = JSON.parse(await readFile(join(npmPackage, 'package.json'), 'utf8')) as Record<string, unknown>
      const wrong = [
        'dependencies',
        'optionalDependencies',
        'devDependencies',
        'peerDependencies',
        'scripts',
        'private',
      ]
      expect(wrong.filter((field) => field in manifest)).toEqual([])
      const files = (await readdir(npmPackage, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(npmPackage.length + 1))
      expect(files.toSorted()).toEqual([...(manifest['files'] as string[]), 'package.json'].toSorted())
    })

    it('is clean by publint', async () => {
      expect((await publint({ pkgDir: npmPackage, pack: false })).messages).toEqual([])
    })

    it('is run by npx from an empty folder without a network, and found by kubectl', async () => {
      const directory = join(scratch, 'empty')
      await mkdir(directory)
      await copyFile(join(release, `enos-credential-operator-npm-${version}.tgz`), join(directory, 'x.tgz'))
      const env = { PATH: process.env['PATH'], HOME: directory, npm_config_offline: 'true' }
      const npx = async (...args: string[]): ReturnType<typeof runToEnd> =>
        await runToEnd('sh', ['-c', `cd '${directory}' && npx --yes "$@"`, 'sh', ...args], { env })
      const { code, stdout } = await npx('./x.tgz', 'status', '--help')
      expect([code, stdout]).toEqual([0, expect.stringContaining('show EnosAppCredentials')])
      // kubectl runs `kubectl-enos` of the PATH for `kubectl enos`.
      expect(await npx('--package', './x.tgz', 'kubectl-enos', '--version')).toMatchObject({
        code: 0,
        stdout: `${version}\n`,
      })
    })
  })
})
