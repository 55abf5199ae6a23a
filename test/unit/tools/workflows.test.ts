import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { runToEnd } from '../../support/run.ts'

const root = join(import.meta.dirname, '../../..')
const directory = join(root, '.github/workflows')

interface Job {
  readonly permissions?: Readonly<Record<string, string>>
  readonly 'timeout-minutes'?: number
  readonly strategy?: { readonly matrix: { readonly target?: readonly string[] } }
  readonly steps: readonly { readonly run?: string; readonly uses?: string }[]
}

interface Workflow {
  readonly permissions: object
  readonly jobs: Readonly<Record<string, Job>>
}

const files = await readdir(directory)
const makefile = await readFile(join(root, 'Makefile'), 'utf8')
const targets = new Set([...makefile.matchAll(/^([a-z0-9-]+):/gm)].map(([, target]) => target))

/** Steps that only choose which commit is built. */
const given = new Set([`git checkout "$(git describe --tags --abbrev=0 --match 'v*')"`])

describe.each(files)('the workflow %s', (file) => {
  const read = async (): Promise<Workflow> => parse(await readFile(join(directory, file), 'utf8')) as Workflow
  const jobs = async (): Promise<Job[]> => Object.values((await read()).jobs)

  it('runs only targets of make that exist', async () => {
    let count = 0
    for (const { steps, strategy } of await jobs()) {
      for (const { run } of steps.filter((step) => step.run !== undefined && !given.has(step.run))) {
        const names =
          run === 'make "$TARGET"' ? strategy?.matrix.target : [/^make ([a-z-]+)( [A-Z]+=\S+)?$/.exec(run ?? '')?.[1]]
        for (const name of names ?? []) expect(targets, `${run ?? ''}: ${name ?? ''}`).toContain(name)
        count += names?.length ?? 0
      }
    }
    expect(count).toBeGreaterThan(4)
  })

  it('uses each action by the hash of a commit, with its version beside it', async () => {
    const text = await readFile(join(directory, file), 'utf8')
    const uses = text.split('\n').filter((line) => /\buses:/.test(line))
    expect(uses.length).toBeGreaterThan(0)
    expect(uses.filter((line) => !/uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(line))).toEqual([])
  })

  it('gives permissions to jobs only, and ends each in time', async () => {
    expect((await read()).permissions).toEqual({})
    for (const job of await jobs()) {
      expect(job.permissions).toBeDefined()
      expect(job['timeout-minutes']).toBeLessThanOrEqual(60)
    }
  })
})

describe('the steps of a release', () => {
  const step = async (name: string): ReturnType<typeof runToEnd> =>
    await runToEnd(process.execPath, [join(root, 'tools/release/publish.ts'), name])

  it('are not taken while published.json has placeholders', async () => {
    for (const name of ['login', 'image', 'chart', 'sign', 'files']) {
      const { code, stderr } = await step(name)
      expect(code).toBe(1)
      expect(stderr).toContain(
        'published.json: registry.example.com/enos is a placeholder; set registry and home before a release',
      )
    }
  })

  it('have names', async () => {
    expect((await step('deploy')).stderr).toContain('step: seen deploy, expected one of pin, login, image')
  })
})

describe('.ci/run', () => {
  it('runs only targets of make that exist', async () => {
    const text = await readFile(join(root, '.ci/run'), 'utf8')
    const named = [...text.matchAll(/^[^#\n]*\bmake ([a-z0-9$-]+)/gm)].map(([, name = '']) => name)
    // Versions of Kubernetes take turns.
    const names = named.flatMap((name) => ['oldest', 'newest'].map((turn) => name.replace('$turn', turn)))
    expect(names).toEqual(expect.arrayContaining(['test', 'e2e', 'test-oldest', 'test-newest']))
    expect(names.filter((name) => !targets.has(name))).toEqual([])
  })
})
