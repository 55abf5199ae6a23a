import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { chartPrograms } from '../../test/charts/programs.ts'
import { findAssets } from '../../test/control-plane/assets.ts'
import { home } from '../published.ts'
import { type InstallFolder, installManifests, renderInstall } from './install-manifests.ts'

/**
 * Writes dist/release: the files of a release and their sums. They are made from a built dist/, and the same commit gives
 * the same files.
 */

const root = fileURLToPath(new URL('../..', import.meta.url))
const target = join(root, 'dist/release')

interface PackageJson {
  readonly name: string
  readonly version: string
  readonly description: string
  readonly license: string
  readonly type: string
  readonly engines: Readonly<Record<string, string>>
  readonly bin: Readonly<Record<string, string>>
}

/** Of the npm package, besides package.json. */
const packageFiles = [
  'dist/main.js',
  'dist/operator.mjs',
  'dist/simulator.js',
  'dist/licenses.txt',
  'LICENSE',
  'README.md',
]

async function main(): Promise<void> {
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as PackageJson
  await rm(target, { recursive: true, force: true })
  await mkdir(target, { recursive: true })
  await copyFile(join(root, 'crds/enos.io_enosappcredentials.yaml'), join(target, 'crds.yaml'))
  await copyFile(join(root, 'dist/sbom.cdx.json'), join(target, 'sbom.cdx.json'))
  await writeInstallManifests()
  await packNpm(manifest)
  await packChart(manifest)
  await writeSums()
}

async function run(file: string, args: readonly string[], cwd = root): Promise<string> {
  const { stdout } = await promisify(execFile)(file, args, { cwd, maxBuffer: 64 * 1024 * 1024 })
  return stdout
}

/** Progress. The sums alone are the output. */
function log(line: string): void {
  process.stderr.write(`${line}\n`)
}

async function writeInstallManifests(): Promise<void> {
  const kubectl = join(await findAssets({ environment: process.env, log }), 'kubectl')
  for (const [folder, name] of Object.entries(installManifests) as [InstallFolder, string][]) {
    await writeFile(join(target, name), await renderInstall(kubectl, folder))
  }
}

/**
 * The command line for npm and npx. All of its packages are in the bundle, so that a manifest of its own names none: npm
 * would install them beside it, Node included.
 */
async function packNpm({ bin, description, engines, license, name, type, version }: PackageJson): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'npm-'))
  try {
    for (const file of packageFiles) {
      await mkdir(dirname(join(directory, file)), { recursive: true })
      await copyFile(join(root, file), join(directory, file))
      await chmod(join(directory, file), Object.values(bin).includes(file) ? 0o755 : 0o644)
    }
    const repository = { type: 'git', url: `git+${home}.git` }
    const places = { homepage: home, repository, bugs: { url: `${home}/issues` } }
    const manifest = { name, version, description, license, ...places, type, engines, bin, files: packageFiles }
    await writeFile(join(directory, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`)
    const packed = await run('npm', ['pack', '--json', '--loglevel=error', '--pack-destination', target], directory)
    const [{ filename } = { filename: '' }] = JSON.parse(packed) as { filename: string }[]
    // helm calls the chart by the same name.
    await rename(join(target, filename), join(target, `${name}-npm-${version}.tgz`))
  } finally {
    await rm(directory, { recursive: true })
  }
}

async function packChart({ name, version }: PackageJson): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'chart-'))
  try {
    const helm = join(await chartPrograms(process.env, log), 'helm4')
    await run(helm, ['package', join(root, 'deploy/helm', name), '--destination', directory])
    const file = `${name}-${version}.tgz`
    // helm writes the time of the day into the archive.
    await run('tar', ['-xzf', file], directory)
    const options = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--mode=u=rwX,go=rX']
    await run('tar', [...options, '--use-compress-program=gzip -n -9', '-cf', join(target, file), name], directory)
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** As `sha256sum --check` reads it. */
async function writeSums(): Promise<void> {
  const names = (await readdir(target)).toSorted()
  const sums = await Promise.all(
    names.map(async (name) => {
      const sum = createHash('sha256')
        .update(await readFile(join(target, name)))
        .digest('hex')
      return `${sum}  ${name}\n`
    }),
  )
  await writeFile(join(target, 'SHA256SUMS'), sums.join(''))
  process.stdout.write(sums.join(''))
}

await main()
