import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run, runToEnd } from '../support/run.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const path = 'deploy/helm/enos-credential-operator'

/**
 * Writes the chart of the last release below a folder: of the last tag, before the first tag of the commit that introduced
 * the chart.
 *
 * @returns the folder of the chart
 * @throws in a shallow clone, which lacks both
 */
export async function writePreviousChart(directory: string, repository = root): Promise<string> {
  const git = async (...args: string[]): Promise<string> => (await run('git', ['-C', repository, ...args])).trim()
  if ((await git('rev-parse', '--is-shallow-repository')) === 'true') {
    throw new Error('this clone is shallow and lacks the last released chart: run git fetch --unshallow --tags')
  }
  const commit = (await lastTag(repository)) ?? (await firstCommit(git))
  const archive = join(directory, 'chart.tar')
  await mkdir(directory, { recursive: true })
  await git('archive', '--output', archive, commit, path)
  await run('tar', ['-xf', archive, '-C', directory])
  return join(directory, path)
}

/** The newest version tag before HEAD that has the chart. */
async function lastTag(repository: string): Promise<string | undefined> {
  const list = ['tag', '--merged', 'HEAD', '--sort=-version:refname', '--list', 'v*']
  const { stdout } = await runToEnd('git', ['-C', repository, ...list])
  for (const tag of stdout.split('\n').filter((line) => line !== '')) {
    const { code } = await runToEnd('git', ['-C', repository, 'cat-file', '-e', `${tag}:${path}/Chart.yaml`])
    if (code === 0) return tag
  }
  return undefined
}

async function firstCommit(git: (...args: string[]) => Promise<string>): Promise<string> {
  const commits = await git('log', '--diff-filter=A', '--format=%H', '--', `${path}/Chart.yaml`)
  const commit = commits.split('\n').at(-1) ?? ''
  if (commit === '') throw new Error(`no commit has ${path}`)
  return commit
}
