import { createHash } from 'node:crypto'
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runToEnd } from '../support/run.ts'

const source = fileURLToPath(new URL('.', import.meta.url))

/** The Kubernetes version of helm 3 where no cluster is asked: helm's own build sets it in this way. */
const helm3Version = ['pkg/lint/rules', 'pkg/chartutil']
  .flatMap((place) => [
    `-X helm.sh/helm/v3/${place}.k8sVersionMajor=1`,
    `-X helm.sh/helm/v3/${place}.k8sVersionMinor=37`,
  ])
  .join(' ')

/** Programs of chart tests, with their packages; go.mod pins them as tools. */
const packages = {
  helm3: { name: 'helm.sh/helm/v3/cmd/helm', ldflags: helm3Version },
  helm4: { name: 'helm.sh/helm/v4/cmd/helm', ldflags: '' },
  'helm-unittest': { name: 'github.com/helm-unittest/helm-unittest/cmd/helm-unittest', ldflags: '' },
} as const

export type ChartProgram = keyof typeof packages

/** The two versions of helm, which must agree. */
export const helms = ['helm3', 'helm4'] as const

/**
 * Builds the programs with Go, once for each content of go.mod: some minutes, on an empty build cache.
 *
 * @param log takes progress, a line at a time
 * @returns their folder, outside of the repository
 */
export async function chartPrograms(environment: NodeJS.ProcessEnv, log: (line: string) => void): Promise<string> {
  const cache = environment['XDG_CACHE_HOME'] ?? join(environment['HOME'] ?? homedir(), '.cache')
  const pinned = await Promise.all(['go.mod', 'go.sum', 'programs.ts'].map((file) => readFile(join(source, file))))
  const digest = pinned.reduce((hash, content) => hash.update(content), createHash('sha256')).digest('hex')
  const directory = join(cache, 'enos-credential-operator', 'charts', digest.slice(0, 12))
  const isBuilt = await access(directory).then(
    () => true,
    () => false,
  )
  if (!isBuilt) await buildInto(directory, log)
  return directory
}

async function buildInto(directory: string, log: (line: string) => void): Promise<void> {
  log('charts: building helm 3, helm 4 and helm-unittest; this takes some minutes, once')
  // Moved into place when complete, so that an interrupted build leaves no half of it.
  const partial = `${directory}.${process.pid}`
  try {
    await mkdir(partial, { recursive: true })
    for (const [program, { ldflags, name }] of Object.entries(packages)) {
      const args = ['build', '-C', source, '-ldflags', `-s -w ${ldflags}`, '-o', join(partial, program), name]
      const { code, stderr } = await runToEnd('go', args, { env: { ...process.env, CGO_ENABLED: '0' } })
      if (code !== 0) throw new Error(`${program} cannot be built: ${stderr.trim().split('\n').slice(-5).join('\n')}`)
    }
    await mkdir(dirname(directory), { recursive: true })
    await rename(partial, directory)
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
}
