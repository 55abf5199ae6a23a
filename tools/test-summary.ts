import { writeFileSync } from 'node:fs'
import type { Reporter, TestModule, TestRunEndReason, TestSpecification, Vitest } from 'vitest/node'

export interface TestCounts {
  readonly passed: number
  readonly failed: number
}

/** The last line of a test run. */
export function summaryLine({ failed, passed }: TestCounts): string {
  return `${passed} passed, ${failed} failed`
}

/** @param byFile how many tests of each file were skipped; a skipped test tells nothing, and must not pass unseen */
export function skipWarning(byFile: ReadonlyMap<string, number>): string {
  if (byFile.size === 0) return ''
  const files = [...byFile].map(([file, count]) => `${count} of ${file}`)
  const total = [...byFile.values()].reduce((sum, count) => sum + count, 0)
  return `WARNING: skipped tests: ${total} (${files.join(', ')}): a program such as go is missing, or a feature of this Kubernetes\n`
}

/**
 * Prints, as the last line of a test run, how many tests passed and failed. Where TEST_COUNTS names a file, the counts
 * are written there instead, for a run of several parts (`run-tests.ts`).
 */
export default class TestSummary implements Reporter {
  /** Whether tests were picked by name: then the others are skipped on purpose. */
  #isFiltered = false
  #files = 0

  onInit({ config }: Vitest): void {
    this.#isFiltered = config.testNamePattern !== undefined
  }

  onTestRunStart(specifications: readonly TestSpecification[]): void {
    this.#files = specifications.length
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[], reason: TestRunEndReason): void {
    let passed = 0
    // An error outside of any test, or a file that could not be run, is a failure too.
    let failed = unhandledErrors.length
    const skipped = new Map<string, number>()
    for (const module of modules) {
      let hasFailedTest = false
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') passed++
        if (state === 'skipped') skipped.set(module.relativeModuleId, (skipped.get(module.relativeModuleId) ?? 0) + 1)
        if (state !== 'failed') continue
        failed++
        hasFailedTest = true
      }
      if (module.state() === 'failed' && !hasFailedTest) failed++
    }
    let warning = this.#isFiltered ? '' : skipWarning(skipped)
    if (this.#hasSetupFailed(modules, unhandledErrors, reason)) {
      failed++
      warning = 'the global setup failed: no test was run\n'
    }
    const counts: TestCounts = { passed, failed }
    const file = process.env['TEST_COUNTS']
    if (file !== undefined) {
      process.stdout.write(warning)
      writeFileSync(file, JSON.stringify(counts))
      return
    }
    // After everything that other reporters still print.
    process.once('exit', () => process.stdout.write(`${warning}${summaryLine(counts)}\n`))
  }

  /** vitest hands the error of a global setup to no reporter. */
  #hasSetupFailed(modules: readonly unknown[], unhandledErrors: readonly unknown[], reason: TestRunEndReason): boolean {
    return this.#files > 0 && modules.length === 0 && unhandledErrors.length === 0 && reason !== 'interrupted'
  }
}
