import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import packageJson from '../../package.json' with { type: 'json' }
import { chartName, imageName, registry } from '../published.ts'

/**
 * The steps of the release workflow, each by its name: publishes image and chart, signs what was published by digest, and
 * verifies it. The digests are kept in dist/published between the steps.
 */

const root = fileURLToPath(new URL('../..', import.meta.url))
const published = join(root, 'dist/published')
const { name, version } = packageJson
const environment = process.env

function run(file: string, args: readonly string[], input?: string): string {
  return execFileSync(file, args, { cwd: root, encoding: 'utf8', input, stdio: ['pipe', 'pipe', 'inherit'] })
}

function required(variable: string): string {
  const value = environment[variable]
  if (value === undefined || value === '') throw new Error(`${variable} is not set`)
  return value
}

/** Keeps what was published, without tag, and hands it to later steps of the workflow. */
function keep(kind: 'image' | 'chart', subject: string, digest: string): void {
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new Error(`${subject}: seen ${digest}, expected a digest`)
  mkdirSync(published, { recursive: true })
  writeFileSync(join(published, kind), `${subject}@${digest}`)
  const output = environment['GITHUB_OUTPUT']
  if (output !== undefined) appendFileSync(output, `name=${subject}\ndigest=${digest}\n`)
}

/** What was published, by digest. */
function kept(): string[] {
  return ['image', 'chart'].flatMap((kind) => {
    try {
      return readFileSync(join(published, kind), 'utf8')
    } catch {
      // A rebuild publishes no chart.
      return []
    }
  })
}

const steps: Readonly<Record<string, () => void>> = {
  /** Gives the base images of the Dockerfile the digests that their tags have now. */
  pin: () => {
    const file = join(root, 'Dockerfile')
    const pinned = readFileSync(file, 'utf8').replace(
      /^(ARG RUNTIME_IMAGE=|FROM --platform=\S+ )(\S+)/gm,
      (_, before: string, image: string) => {
        const [tagged = ''] = image.split('@')
        const digest = run('go', ['-C', 'image/oci', 'tool', 'crane', 'digest', tagged]).trim()
        return `${before}${tagged}@${digest}`
      },
    )
    writeFileSync(file, pinned)
  },
  login: () => {
    const [host = ''] = registry.split('/')
    const args = ['login', host, '--username', required('REGISTRY_USER'), '--password-stdin']
    run('docker', args, required('REGISTRY_PASSWORD'))
  },
  image: () => {
    const metadata = join(root, 'dist/image-metadata.json')
    const revision = run('git', ['rev-parse', 'HEAD']).trim()
    const builds = [`VERSION=${version}`, `REVISION=${revision}`].flatMap((each) => ['--build-arg', each])
    const tag = `${imageName}:${version}${environment['SUFFIX'] ?? ''}`
    const args = ['--platform', 'linux/amd64,linux/arm64', '--provenance', 'mode=max', '--sbom', 'true', ...builds]
    run('docker', ['buildx', 'build', ...args, '--metadata-file', metadata, '--push', '--tag', tag, '.'])
    const { 'containerimage.digest': digest } = JSON.parse(readFileSync(metadata, 'utf8')) as Record<string, string>
    keep('image', imageName, digest ?? '')
  },
  chart: () => {
    const archive = join(root, `dist/release/${name}-${version}.tgz`)
    const repository = chartName.slice(0, chartName.lastIndexOf('/'))
    const output = run('go', ['-C', 'test/charts', 'tool', 'helm.sh/helm/v4/cmd/helm', 'push', archive, repository])
    keep('chart', chartName.replace('oci://', ''), /sha256:[0-9a-f]{64}/.exec(output)?.[0] ?? '')
  },
  sign: () => {
    for (const subject of kept()) run('cosign', ['sign', '--yes', subject])
    const [image = ''] = kept()
    run('cosign', ['attest', '--yes', '--type', 'cyclonedx', '--predicate', 'dist/sbom.cdx.json', image])
  },
  verify: () => {
    const issuer = 'https://token.actions.githubusercontent.com'
    const identity = ['--certificate-identity', required('IDENTITY'), '--certificate-oidc-issuer', issuer]
    for (const subject of kept()) run('cosign', ['verify', ...identity, subject])
    const [image = ''] = kept()
    run('cosign', ['verify-attestation', ...identity, '--type', 'cyclonedx', image])
    run('gh', ['attestation', 'verify', `oci://${image}`, '--repo', required('GITHUB_REPOSITORY')])
  },
  files: () => {
    const tag = required('TAG')
    if (tag !== `v${version}`) throw new Error(`tag: seen ${tag}, expected v${version}, the version of package.json`)
    run('bash', ['-c', 'gh release create "$0" --verify-tag --generate-notes dist/release/*', tag])
  },
}

const [step = ''] = process.argv.slice(2)
const action = steps[step]
if (action === undefined) throw new Error(`step: seen ${step}, expected one of ${Object.keys(steps).join(', ')}`)
if (step !== 'pin' && /(^|\.)example\.com(\/|$)/.test(registry)) {
  throw new Error(`published.json: ${registry} is a placeholder; set registry and home before a release`)
}
action()
