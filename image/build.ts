import { execFile, spawn } from 'node:child_process'
import { chmod, copyFile, mkdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { imageName } from '../tools/published.ts'
import { baseConfig, makeBase } from './base.ts'
import { type Architecture, architectures } from './debian.ts'
import { type LastStage, readLastStage } from './dockerfile.ts'

/**
 * Builds the image of the Dockerfile without Docker, for each architecture, on a base of its own (base.ts). Writes below
 * dist/image: `layout` (an OCI layout), `image.tar` (the same for `ctr images import`), and `rootfs-amd64`,
 * `rootfs-arm64` (the file systems). The same sources give the same digest.
 */

const root = fileURLToPath(new URL('..', import.meta.url))
const target = join(root, 'dist/image')
const run = promisify(execFile)

async function main(): Promise<void> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
  const stage = await readLastStage({ VERSION: version, REVISION: await revision() })
  await rm(target, { recursive: true, force: true })
  const images = []
  for (const architecture of architectures) {
    const layers = await makeLayers(architecture, stage)
    images.push({ platform: `linux/${architecture}`, layers, config: configOf(stage), owners: baseConfig.owners })
  }
  const digest = await writeLayout({
    out: join(target, 'layout'),
    name: `${imageName}:${version}`,
    created: await createdAt(),
    images,
  })
  const tarOptions = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner']
  await run('tar', [...tarOptions, '-cf', join(target, 'image.tar'), '-C', join(target, 'layout'), '.'])
  process.stdout.write(`${digest.trim()} dist/image/layout\n`)
}

/** @returns the folders of the layers, the lowest first */
async function makeLayers(architecture: Architecture, { copies }: LastStage): Promise<string[]> {
  const [base, app, rootfs] = [
    join(target, architecture, 'base'),
    join(target, architecture, 'app'),
    join(target, `rootfs-${architecture}`),
  ]
  await makeBase(architecture, base)
  for (const { from, to } of copies) {
    const file = join(app, to)
    await mkdir(dirname(file), { recursive: true })
    // The build stage has the sources in /src.
    await copyFile(join(root, from.replace(/^\/src\//, '')), file)
    await chmod(file, 0o644)
  }
  await run('cp', ['-al', base, rootfs])
  await run('cp', ['-al', `${app}/.`, rootfs])
  return [base, app]
}

/** As the image specification has it. */
function configOf(stage: LastStage): object {
  return {
    User: stage.user,
    Env: Object.entries({ ...baseConfig.env, ...stage.env }).map(([name, value]) => `${name}=${value}`),
    Entrypoint: stage.entrypoint,
    Cmd: stage.cmd,
    WorkingDir: baseConfig.workingDir,
    ExposedPorts: Object.fromEntries(stage.exposedPorts.map((port) => [port, {}])),
    Labels: stage.labels,
  }
}

/** The commit, or `unknown` outside of a repository and where files differ from it. */
async function revision(): Promise<string> {
  const { stdout } = await git('describe', '--always', '--dirty', '--abbrev=40', '--exclude=*')
  const commit = stdout.trim()
  return commit === '' || commit.endsWith('-dirty') ? 'unknown' : commit
}

/** Of the commit, for the time of the build would make each digest another. */
async function createdAt(): Promise<string> {
  const given = process.env['SOURCE_DATE_EPOCH']
  const seconds = given ?? (await git('log', '-1', '--format=%ct')).stdout.trim()
  return new Date(Number(seconds) * 1000).toISOString()
}

async function git(...args: string[]): Promise<{ stdout: string }> {
  return await run('git', args, { cwd: root }).catch(() => ({ stdout: '' }))
}

async function writeLayout(spec: object): Promise<string> {
  const child = spawn('go', ['run', '.'], { cwd: join(root, 'image/oci'), stdio: ['pipe', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stdin.end(JSON.stringify(spec))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'ENOENT' ? new Error('image: `go` is not on the PATH; elsewhere build the Dockerfile') : error,
      )
    })
    child.once('close', resolve)
  })
  if (code !== 0) throw new Error(`image: writing the layout failed with exit code ${code}`)
  return output
}

await main()
