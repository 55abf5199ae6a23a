import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { writePreviousChart } from '../../e2e/previous-chart.ts'
import { run } from '../../support/run.ts'

const file = 'deploy/helm/enos-credential-operator/Chart.yaml'

async function temporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'previous-chart-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  return directory
}

/** A repository with a commit for each version of the chart; an empty version is a commit before the chart. */
async function repository(
  ...versions: string[]
): Promise<{ directory: string; git: (...args: string[]) => Promise<string> }> {
  const directory = await temporary()
  const identity = ['-c', 'user.name=test', '-c', 'user.email=test@example.com', '-c', 'core.hooksPath=/dev/null']
  const git = (...args: string[]): Promise<string> => run('git', ['-C', directory, ...identity, ...args])
  await git('init', '--quiet')
  for (const version of versions) {
    const path = join(directory, version === '' ? 'README.md' : file)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, version)
    await git('add', '.')
    await git('commit', '--quiet', '--message', `chart ${version}`)
  }
  return { directory, git }
}

describe('writePreviousChart', () => {
  it('takes the chart of the commit that introduced it where no tag has one', async () => {
    const { directory, git } = await repository('', 'first', 'second')
    await git('tag', 'v0.0.1', 'HEAD~2')
    const chart = await writePreviousChart(await temporary(), directory)
    expect(await readFile(join(chart, 'Chart.yaml'), 'utf8')).toBe('first')
  })

  it('takes the chart of the newest version, not of the name that sorts last', async () => {
    const { directory, git } = await repository('first', 'second', 'third', 'fourth')
    await git('tag', 'v0.9.0', 'HEAD~2')
    await git('tag', 'v0.10.0', 'HEAD~1')
    const chart = await writePreviousChart(await temporary(), directory)
    expect(await readFile(join(chart, 'Chart.yaml'), 'utf8')).toBe('third')
  })

  it('fails in a shallow clone, and names the command that helps', async () => {
    const { directory } = await repository('first', 'second')
    const clone = join(await temporary(), 'clone')
    await run('git', ['clone', '--quiet', '--depth=1', `file://${directory}`, clone])
    await expect(writePreviousChart(await temporary(), clone)).rejects.toThrow('run git fetch --unshallow --tags')
  })
})
