import { describe, expect, it } from 'vitest'
import { skipWarning, summaryLine } from '../../../tools/test-summary.ts'

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
})
