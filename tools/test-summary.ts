import type { Reporter, TestModule } from 'vitest/node'

/** Prints, as the last line of a test run, how many tests passed and failed over all suites. */
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
    // After everything that other reporters still print.
    process.once('exit', () => process.stdout.write(`${passed} passed, ${failed} failed\n`))
  }
}
