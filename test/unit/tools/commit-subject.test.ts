import { copyFile, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { subjectFaults } from '../../../tools/commit-subject.ts'
import { runToEnd } from '../../support/run.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

describe('the check of commit subjects', () => {
  it.each([
    'fix(consumers): keep a retried restart pending when pods are forbidden',
    'feat(api)!: rename a field',
    'build: run lint and unit tests while the control plane is built',
    'docs: address the reader',
    'fix: pass the signal on',
    'Merge branch main',
    'Revert "feat: add a flag"',
    'fixup! feat: add a flag',
    'feat: add a flag\n\nThe why.\n',
    'feat: add a flag\n# Please enter the commit message\n',
  ])('accepts %j', (message) => {
    expect(subjectFaults(message)).toEqual([])
  })

  it.each([
    ['add a flag', 'the subject is not `type: text` or `type(scope): text`'],
    ['', 'the subject is not `type: text` or `type(scope): text`'],
    ['feature: add a flag', '`feature` is no type'],
    ['fix: what a second review found', '`what` is no imperative'],
    ['fix: the lease is kept', '`the` is no imperative'],
    ['feat: added a flag', '`added` is no imperative'],
    ['feat: adding a flag', '`adding` is no imperative'],
    ['feat: adds a flag', '`adds` is no imperative'],
    ['feat: Add a flag', '`Add` is no imperative'],
    ['feat: correction of a flag', '`correction` is no imperative'],
    ['feat: add a flag.', 'the subject ends with a full stop'],
    ['feat: add a flag; fix another', 'the subject names two changes'],
    ['feat: add a flag and remove another', 'the subject names two changes'],
    ['feat: add a flag\nThe why.', 'the second line is not empty'],
    [`feat: add ${'x'.repeat(63)}`, 'the subject has 73 characters; at most 72 fit'],
  ])('refuses %j: %s', (message, fault) => {
    const faults = subjectFaults(message)
    expect(faults).toHaveLength(1)
    expect(faults[0]).toContain(fault)
  })

  it('names each fault of a subject', () => {
    expect(subjectFaults('misc: the flags.')).toHaveLength(3)
  })
})

describe('the hooks of git', () => {
  interface Repository {
    readonly directory: string
    readonly git: (...args: string[]) => Promise<{ code: number | null; output: string }>
  }

  /** A repository with the hooks as shipped, and the tools that they call. */
  async function createRepository(): Promise<Repository> {
    const directory = await mkdtemp(join(tmpdir(), 'hooks-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    // No variable of a hook or worktree that these tests run in, and no configuration of a user.
    const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_'))
    const env = { ...Object.fromEntries(environment), GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null' }
    const git: Repository['git'] = async (...args) => {
      const { code, stderr, stdout } = await runToEnd('git', ['-C', directory, ...args], { env })
      return { code, output: stdout + stderr }
    }
    await git('init', '--quiet')
    for (const [name, value] of [
      ['user.name', 'Test'],
      ['user.email', 'test@example.com'],
      ['core.hooksPath', '.githooks'],
    ] as const) {
      await git('config', name, value)
    }
    await mkdir(join(directory, '.githooks'))
    await mkdir(join(directory, 'tools'))
    for (const file of [
      '.githooks/pre-commit',
      '.githooks/commit-msg',
      'tools/commit-subject.ts',
      '.prettierrc.json',
    ]) {
      await copyFile(join(root, file), join(directory, file))
    }
    await writeFile(join(directory, 'package.json'), '{ "type": "module" }\n')
    return { directory, git }
  }

  it('refuse a subject that is no imperative, unless they are left out', async () => {
    const { git } = await createRepository()
    const refused = await git('commit', '--allow-empty', '-m', 'fix: the lease is kept')
    expect(refused.code).toBe(1)
    expect(refused.output).toContain('`the` is no imperative')
    expect((await git('commit', '--allow-empty', '-m', 'fix: keep the lease')).code).toBe(0)
    expect((await git('commit', '--allow-empty', '--no-verify', '-m', 'fix: the lease is kept')).code).toBe(0)
  })

  it('refuse a staged file that is not formatted', async () => {
    const { directory, git } = await createRepository()
    await writeFile(join(directory, 'a file.json'), '{"a":1}')
    await git('add', 'a file.json')
    const refused = await git('commit', '-m', 'feat: add a file')
    expect(refused.code).not.toBe(0)
    expect(refused.output).toContain('a file.json')
    await writeFile(join(directory, 'a file.json'), '{ "a": 1 }\n')
    await git('add', 'a file.json')
    expect((await git('commit', '-m', 'feat: add a file')).code).toBe(0)
  })

  it('refuse a staged script that does not pass the lint', async () => {
    const { directory, git } = await createRepository()
    await writeFile(join(directory, 'eslint.config.js'), "export default [{ rules: { 'no-var': 'error' } }]\n")
    await writeFile(join(directory, 'script.js'), 'var a = 1\n')
    await git('add', 'script.js')
    const refused = await git('commit', '-m', 'feat: add a script')
    expect(refused.code).not.toBe(0)
    expect(refused.output).toContain('no-var')
  })

  it('are executable', async () => {
    for (const hook of ['pre-commit', 'commit-msg']) {
      const { mode } = await stat(join(root, '.githooks', hook))
      expect(mode & 0o111, hook).toBe(0o111)
    }
  })
})
