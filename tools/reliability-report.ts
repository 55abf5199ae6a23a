import { mkdirSync, writeFileSync } from 'node:fs'
import type { Reporter, TestModule } from 'vitest/node'
import type { Row } from '../test/faults/fault-case.ts'
import { renderReliability } from './reliability.ts'

/**
 * Collects the result of each fault. The rows are written to dist/reliability.json after any run, and the page to the
 * file that RELIABILITY names (`make reliability`).
 */
export default class ReliabilityReport implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const rows: Row[] = []
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { row } = test.meta()
        if (row !== undefined) rows.push(row)
      }
    }
    if (rows.length === 0) return
    mkdirSync('dist', { recursive: true })
    writeFileSync('dist/reliability.json', `${JSON.stringify(rows, null, 2)}\n`)
    const file = process.env['RELIABILITY']
    if (file !== undefined) writeFileSync(file, renderReliability(rows))
  }
}
