import { existsSync } from 'node:fs'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from './run.ts'

const root = join(import.meta.dirname, '../..')

/** Puts the same commit with the same changes into another folder, for builds that must not depend on the folder. */
export async function cloneTo(folder: string): Promise<void> {
  await run('git', ['clone', '--quiet', '--depth=1', `file://${root}`, folder])
  const changes = await run('git', ['-C', root, 'ls-files', '--modified', '--others', '--exclude-standard'])
  for (const file of changes.split('\n').filter((line) => line !== '')) {
    await rm(join(folder, file), { force: true })
    if (existsSync(join(root, file))) await cp(join(root, file), join(folder, file))
  }
  await cp(join(root, 'node_modules'), join(folder, 'node_modules'), { recursive: true, verbatimSymlinks: true })
}
