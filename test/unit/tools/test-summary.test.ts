import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { skipWarning, summaryLine } from '../../../tools/test-summary.ts'
import { runToEnd } from '../../support/run.ts'

describe('the end of a test run', () => {
  it('is a line with the counts', () => {
    expect(summaryLine({ passed: 12, failed: 0 })).toBe('12 passed, 0 failed')
  })

  it('warns of skipped tests, with how many of which file', () => {
    const byFile = new Map([
      ['test/integration/gitops.test.ts', 3],
      ['test/integration/health.test.ts', 1],
    ])
    expect(skipWarning(byFile)).toBe(
      'WARNING: skipped tests: 4 (3 of test/integration/gitops.test.ts, 1 of test/integration/health.test.ts): ' +
        'a program such as go is missing, or a feature of this Kubernetes\n',
    )
  })

  it('warns of nothing where no test was skipped', () => {
    expect(skipWarning(new Map())).toBe('')
  })

  it('counts a global setup that fails as a failure, and says so', async () => {
    const root = await mkdtemp(join(tmpdir(), 'failing-setup-'))
    try {
      const reporter = fileURLToPath(new URL('../../../tools/test-summary.ts', import.meta.url))
      const test = { reporters: ['default', reporter], globalSetup: './setup.mjs' }
      await writeFile(join(root, 'vitest.config.mjs'), `export default ${JSON.stringify({ test })}`)
      await writeFile(join(root, 'setup.mjs'), `export default () => { throw new Error('no cluster') }`)
      await writeFile(join(root, 'one.test.mjs'), '')
      const env = { ...process.env, TEST_COUNTS: undefined }
      const { code, stdout } = await runToEnd('vitest', ['run', '--root', root], { env })
      expect(code).toBe(1)
      const lines = stdout.trim().split('\n').slice(-2)
      expect(lines).toEqual(['the global setup failed: no test was run', '0 passed, 1 failed'])
    } finally {
      await rm(root, { recursive: true })
    }
  })
})
