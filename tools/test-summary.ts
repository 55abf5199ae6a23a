import { writeFileSync } from 'node:fs'
import type { Reporter, TestModule, Vitest } from 'vitest/node'

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

  onInit({ config }: Vitest): void {
    this.#isFiltered = config.testNamePattern !== undefined
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
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
    const counts: TestCounts = { passed, failed }
    const warning = this.#isFiltered ? '' : skipWarning(skipped)
    const file = process.env['TEST_COUNTS']
    if (file !== undefined) {
      process.stdout.write(warning)
      writeFileSync(file, JSON.stringify(counts))
      return
    }
    // After everything that other reporters still print.
    process.once('exit', () => process.stdout.write(`${warning}${summaryLine(counts)}\n`))
  }
}
