import { join } from 'node:path'
import { it } from 'vitest'
import { run } from '../support/run.ts'

const root = join(import.meta.dirname, '../..')

it('Dockerfile, scripts and workflows are clean by hadolint, shellcheck, actionlint and zizmor', async () => {
  await run('make', ['--silent', '-C', root, 'lint-release'])
}, 300_000)
