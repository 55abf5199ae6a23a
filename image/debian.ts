import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** The Debian packages below Node: pinned in debian.json, downloaded by apt into a root of its own. */

/** As Debian names them. */
export type Architecture = 'amd64' | 'arm64'

export const architectures = ['amd64', 'arm64'] as const satisfies readonly Architecture[]

interface Pin {
  readonly version: string
  readonly sha256: string
}

interface Pins {
  /** Of Debian, like bookworm. */
  readonly suite: string
  readonly packages: Readonly<Record<Architecture, Readonly<Record<string, Pin>>>>
}

const pinsFile = new URL('debian.json', import.meta.url)

/** Outside of the repository, as the control plane of the tests. */
export const cacheDirectory = join(
  process.env['XDG_CACHE_HOME'] ?? join(process.env['HOME'] ?? homedir(), '.cache'),
  'enos-credential-operator/image',
)

export async function readPins(): Promise<Pins> {
  return JSON.parse(await readFile(pinsFile, 'utf8')) as Pins
}

/** @returns the pinned packages as `.deb` files, by name */
export async function debianPackages(architecture: Architecture): Promise<ReadonlyMap<string, string>> {
  const { packages, suite } = await readPins()
  const pins = Object.entries(packages[architecture])
  const files = new Map(pins.map(([name, { sha256 }]) => [name, join(cacheDirectory, `${sha256}.deb`)]))
  const missing = await Promise.all(pins.map(async ([name, pin]) => !(await hasSum(files.get(name) ?? '', pin.sha256))))
  const wanted = pins.filter((_, at) => missing[at] === true)
  if (wanted.length > 0) await download(suite, architecture, new Map(wanted))
  return files
}

async function download(suite: string, architecture: Architecture, wanted: ReadonlyMap<string, Pin>): Promise<void> {
  await mkdir(cacheDirectory, { recursive: true })
  await withApt(suite, architecture, async (apt, directory) => {
    await apt(['download', ...[...wanted].map(([name, { version }]) => `${name}=${version}`)]).catch(
      (error: unknown) => {
        const advice = 'where Debian has newer ones, `make pin-debian` pins these'
        throw new Error(`image: the Debian packages of image/debian.json cannot be downloaded; ${advice}`, {
          cause: error,
        })
      },
    )
    const downloaded = (await readdir(directory)).filter((file) => file.endsWith('.deb'))
    for (const [name, { sha256, version }] of wanted) {
      const file = downloaded.find((each) => each.startsWith(`${name}_`))
      if (file === undefined || !(await hasSum(join(directory, file), sha256))) {
        throw new Error(`image: ${name} ${version} (${architecture}) is not the file of image/debian.json`)
      }
      const partial = join(cacheDirectory, `${sha256}.${process.pid}`)
      await writeFile(partial, await readFile(join(directory, file)))
      await rename(partial, join(cacheDirectory, `${sha256}.deb`))
    }
  })
}

/** Pins the newest versions of the same packages. */
async function updatePins(): Promise<void> {
  const { packages, suite } = await readPins()
  const updated = await Promise.all(
    architectures.map(async (architecture) => {
      const names = Object.keys(packages[architecture])
      const lines = await withApt(suite, architecture, (apt) => apt(['download', '--print-uris', ...names]))
      const found = new Map(
        [...lines.matchAll(/ (\S+?)_(\S+)_\w+\.deb \d+ SHA256:(\w+)/g)].map(
          ([, name = '', version = '', sha256 = '']) => [name, { version: decodeURIComponent(version), sha256 }],
        ),
      )
      const pins = names.map((name) => {
        const pin = found.get(name)
        if (pin === undefined) throw new Error(`image: Debian ${suite} has no ${name} for ${architecture}`)
        return [name, pin] as const
      })
      return [architecture, Object.fromEntries(pins)] as const
    }),
  )
  await writeFile(pinsFile, `${JSON.stringify({ suite, packages: Object.fromEntries(updated) }, undefined, 2)}\n`)
}

type Apt = (args: readonly string[]) => Promise<string>

/** Hands out an apt that knows the suite and nothing of this machine's packages, and a folder that it works in. */
async function withApt<T>(
  suite: string,
  architecture: Architecture,
  work: (apt: Apt, directory: string) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'apt-'))
  try {
    const key = '[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
    const sources = [
      `deb ${key} http://deb.debian.org/debian ${suite} main`,
      `deb ${key} http://deb.debian.org/debian-security ${suite}-security main`,
    ]
    await writeFile(join(directory, 'sources.list'), `${sources.join('\n')}\n`)
    await writeFile(join(directory, 'status'), '')
    await mkdir(join(directory, 'lists/partial'), { recursive: true })
    await mkdir(join(directory, 'archives/partial'), { recursive: true })
    const options = {
      'APT::Architecture': architecture,
      'APT::Architectures': architecture,
      'APT::Sandbox::User': '',
      'Acquire::Languages': 'none',
      'Dir::State': directory,
      'Dir::State::status': join(directory, 'status'),
      'Dir::Cache': directory,
      'Dir::Etc::sourcelist': join(directory, 'sources.list'),
      'Dir::Etc::sourceparts': '/dev/null',
    }
    const flags = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
    const apt: Apt = async (args) => {
      const { stdout } = await promisify(execFile)('apt-get', ['-q', ...flags, ...args], { cwd: directory })
      return stdout
    }
    await apt(['update'])
    return await work(apt, directory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new Error(
        'image: Debian’s packages are got by apt-get, which is not on the PATH; elsewhere build the Dockerfile',
      )
    }
    throw error
  } finally {
    await rm(directory, { recursive: true })
  }
}

async function hasSum(file: string, sha256: string): Promise<boolean> {
  const content = await readFile(file).catch(() => undefined)
  return content !== undefined && createHash('sha256').update(content).digest('hex') === sha256
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await updatePins()
