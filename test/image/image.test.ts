import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cloneTo } from '../support/clone.ts'
import { run, runToEnd } from '../support/run.ts'
import { brokenBlobs, type ImageConfig, listFiles, type PlatformImage, readLayout, unpack } from './oci-layout.ts'

const root = join(import.meta.dirname, '../..')
const layout = join(root, 'dist/image/layout')
const nodeUser = '65532'

/** chroot and mounts need them. */
const isRoot = process.getuid?.() === 0

async function makeImage(folder: string): Promise<string> {
  const output = await run('make', ['--silent', '-C', folder, 'image'])
  return /sha256:\w{64}/.exec(output)?.[0] ?? ''
}

/** @param variables like `NAME=VALUE` */
function environmentOf(variables: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    variables.map((each) => [each.slice(0, each.indexOf('=')), each.slice(each.indexOf('=') + 1)]),
  )
}

describe('the image that `make image` builds', () => {
  let scratch: string
  let dockerfile: string
  let digest: string
  let images: ReadonlyMap<string, PlatformImage>

  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'image-'))
    dockerfile = (await readFile(join(root, 'Dockerfile'), 'utf8')).replaceAll(/\\\n\s*/g, '')
    digest = await makeImage(root)
    images = await readLayout(layout)
  })

  afterAll(async () => {
    await rm(scratch, { recursive: true, force: true })
  })

  const imageOf = (platform: string): PlatformImage => {
    const image = images.get(platform)
    if (image === undefined) throw new Error(`no image for ${platform}`)
    return image
  }
  const configOf = (platform: string): ImageConfig['config'] => imageOf(platform).config.config

  it('is a layout of an image for each of two platforms', async () => {
    expect([...images.keys()]).toEqual(['linux/amd64', 'linux/arm64'])
    for (const [platform, { config }] of images) expect(`${config.os}/${config.architecture}`).toBe(platform)
    expect(await brokenBlobs(layout)).toEqual([])
  })

  it('has the same digest from another folder', async () => {
    const folder = join(scratch, 'clone')
    await cloneTo(folder)
    expect(digest).toMatch(/^sha256:/)
    expect(await makeImage(folder)).toBe(digest)
  }, 900_000)

  describe.each(['linux/amd64', 'linux/arm64'])('for %s', (platform) => {
    const last = (keyword: string): string => {
      const stage = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '))
      return new RegExp(`^${keyword} (.*)$`, 'm').exec(stage)?.[1] ?? ''
    }
    const pairs = (text: string): Record<string, string> =>
      Object.fromEntries(
        [...text.matchAll(/(\S+?)=(?:"([^"]*)"|(\S+))/g)].map(([, name = '', quoted, bare]) => [
          name,
          quoted ?? bare ?? '',
        ]),
      )

    it('has the user, entrypoint, arguments and ports of the Dockerfile', () => {
      const config = configOf(platform)
      expect(config.User).toBe(last('USER'))
      expect(config.Entrypoint).toEqual(JSON.parse(last('ENTRYPOINT')))
      expect(config.Cmd).toEqual(JSON.parse(last('CMD')))
      expect(Object.keys(config.ExposedPorts)).toEqual(
        last('EXPOSE')
          .split(' ')
          .map((port) => `${port}/tcp`),
      )
    })

    it('has the environment of the Dockerfile, and besides only that of the base image', () => {
      const env = pairs(
        [...dockerfile.slice(dockerfile.lastIndexOf('\nFROM ')).matchAll(/^ENV (.*)$/gm)]
          .map(([, rest]) => rest)
          .join(' '),
      )
      expect(env).not.toEqual({})
      expect(environmentOf(configOf(platform).Env)).toEqual({
        PATH: expect.any(String) as string,
        SSL_CERT_FILE: '/etc/ssl/certs/ca-certificates.crt',
        ...env,
      })
    })

    it('has the labels of the Dockerfile, with this version and commit', async () => {
      const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
      const isClean = (await run('git', ['-C', root, 'status', '--porcelain', '--untracked-files=no'])) === ''
      const commit = (await run('git', ['-C', root, 'rev-parse', 'HEAD'])).trim()
      const revision = isClean ? commit : 'unknown'
      const labels = pairs(last('LABEL').replace('${VERSION}', version).replace('${REVISION}', revision))
      expect(Object.keys(labels).length).toBeGreaterThan(4)
      expect(configOf(platform).Labels).toEqual(labels)
    })

    it('has in /app the files that the Dockerfile copies, and no other', async () => {
      const directory = join(scratch, platform)
      await unpack(imageOf(platform), directory)
      const copies = [...dockerfile.matchAll(/^COPY --from=build \/src\/(\S+) (\/app\/\S+)$/gm)]
      for (const [, from = '', to = ''] of copies) {
        expect(await readFile(join(directory, to), 'utf8')).toBe(await readFile(join(root, from), 'utf8'))
      }
      const files = (await listFiles(imageOf(platform))).filter(
        (line) => line.startsWith('-') && line.includes(' app/'),
      )
      expect(files.map((line) => `/${line.slice(line.indexOf('app/'))}`)).toEqual(
        copies.map(([, , to]) => to).toSorted(),
      )
    })

    it('has the source map that the bundle names', async () => {
      const app = join(scratch, platform, 'app')
      const [name = ''] = (await readFile(join(app, 'operator.mjs'), 'utf8')).match(/(?<=sourceMappingURL=)\S+$/m) ?? []
      const { sources } = JSON.parse(await readFile(join(app, name), 'utf8')) as { sources: readonly string[] }
      expect(sources).toContain('../src/main.ts')
    })

    it('has no shell, no npm, no setuid program, and nothing that the operator may write but its home and /tmp', async () => {
      const files = await listFiles(imageOf(platform))
      const paths = files.map((line) => line.replace(/^(\S+\s+){5}/, '').replace(/ -> .*/, ''))
      expect(paths).toContain('nodejs/bin/node')
      expect(paths.filter((path) => /(^|\/)(sh|bash|dash|busybox|npm|npx|corepack|apt|dpkg)$/.test(path))).toEqual([])
      expect(files.filter((line) => /^-\S*s/i.test(line))).toEqual([])
      const isWritable = (line: string): boolean =>
        !line.startsWith('l') && (/^.{8}w/.test(line) || line.includes(` ${nodeUser}/`))
      expect(files.filter(isWritable).map((line) => line.slice(line.lastIndexOf(' ') + 1))).toEqual([
        'home/nonroot/',
        'tmp/',
        'var/lock/',
        'var/tmp/',
      ])
    })

    it('has the licences of Node and of each Debian package', async () => {
      const paths = (await listFiles(imageOf(platform))).map((line) => line.replace(/^(\S+\s+){5}/, ''))
      const packages = paths.flatMap((path) => /^var\/lib\/dpkg\/status\.d\/(.+)$/.exec(path)?.[1] ?? [])
      expect(packages.length).toBeGreaterThan(4)
      for (const name of ['nodejs', ...packages]) {
        // A link to another package's folder, or a folder.
        const link = paths.find((path) => path.startsWith(`usr/share/doc/${name} -> `))?.split(' -> ')[1]
        expect(paths).toContain(`usr/share/doc/${link ?? name}/copyright`)
      }
    })
  })

  it('has programs for arm64 in the image for arm64', async () => {
    const directory = join(scratch, 'linux/arm64')
    await unpack(imageOf('linux/arm64'), directory)
    const program = await readFile(join(directory, 'nodejs/bin/node'))
    // The machine in an ELF header: AArch64.
    expect(program.readUInt16LE(18)).toBe(183)
  })

  it.skipIf(!isRoot || process.arch !== 'x64')('runs as its user on a root that is read-only', async () => {
    const directory = join(scratch, 'run')
    await unpack(imageOf('linux/amd64'), directory)
    const { Entrypoint, Env, User } = configOf('linux/amd64')
    const inside = async (...args: string[]): ReturnType<typeof runToEnd> => {
      const mounts = `mount --bind '${directory}' '${directory}' && mount -o remount,bind,ro '${directory}' && mount -t proc proc '${directory}/proc'`
      const script = `${mounts} && exec chroot --userspec=${User} '${directory}' "$@"`
      const env = environmentOf(Env)
      return await runToEnd('unshare', ['--mount', '--pid', '--fork', 'sh', '-c', script, 'sh', ...args], { env })
    }
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
    expect(await inside(...Entrypoint, '--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })

    const facts = `
      const { writeFileSync } = require('node:fs')
      const attempt = () => { try { writeFileSync('/app/x', ''); return 'written' } catch (error) { return error.code } }
      console.log(JSON.stringify([process.getuid(), process.getgid(), attempt(), require('node:tls').getCACertificates('system').length > 100]))`
    const { stdout } = await inside(Entrypoint[0] ?? '', '--eval', facts)
    expect(JSON.parse(stdout)).toEqual([Number(nodeUser), Number(nodeUser), 'EROFS', true])

    // As far as it comes without a cluster.
    const begun = await inside(...Entrypoint, 'run')
    expect(begun.code).toBe(1)
    expect(begun.stderr).toContain('run in a pod that mounts its service account token')
  })
})
