import { writeFileSync } from 'node:fs'
import type { Reporter, TestModule } from 'vitest/node'

export interface TestCounts {
  readonly passed: number
  readonly failed: number
}

/** The last line of a test run. */
export function summaryLine({ failed, passed }: TestCounts): string {
  return `${passed} passed, ${failed} failed`
}

/**
 * Prints, as the last line of a test run, how many tests passed and failed. Where TEST_COUNTS names a file, the counts
 * are written there instead, for a run of several parts (`run-tests.ts`).
 */
export default class TestSummary implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0
    // An error outside of any test, or a file that could not be run, is a failure too.
    let failed = unhandledErrors.length
    for (const module of modules) {
      let hasFailedTest = false
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') passed++
        if (state !== 'failed') continue
        failed++
        hasFailedTest = true
      }
      if (module.state() === 'failed' && !hasFailedTest) failed++
    }
    const counts: TestCounts = { passed, failed }
    const file = process.env['TEST_COUNTS']
    if (file !== undefined) writeFileSync(file, JSON.stringify(counts))
    // After everything that other reporters still print.
    else process.once('exit', () => process.stdout.write(`${summaryLine(counts)}\n`))
  }
}
