import { writeFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { type Command, runTests, type TestRun } from '../../../tools/run-tests.ts'
import { summaryLine, type TestCounts } from '../../../tools/test-summary.ts'

let printed: string
/** Each part that ran leaves a line here. */
let journal: string
/** A file that is there once a text was printed. */
let signal: string

beforeEach(async () => {
  printed = ''
  const directory = await mkdtemp(join(tmpdir(), 'run-tests-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  journal = join(directory, 'journal')
  signal = join(directory, 'signal')
})

function node(script: string): Command {
  return [process.execPath, '--eval', script]
}

function record(name: string): string {
  return `require('node:fs').appendFileSync(${JSON.stringify(journal)}, '${name}\\n');`
}

/** A part that counts as vitest does, and ends with the same code. */
function tests(name: string, counts: TestCounts): Command {
  const write = `require('node:fs').writeFileSync(process.env.TEST_COUNTS, '${JSON.stringify(counts)}');`
  return node(`${record(name)}${write} process.exitCode = ${counts.failed === 0 ? 0 : 1}`)
}

async function play(run: Partial<TestRun>): Promise<{ counts: TestCounts; parts: string[] }> {
  const whole: TestRun = {
    prepare: node('0'),
    checks: [node(record('lint'))],
    early: tests('early', { passed: 2, failed: 0 }),
    late: tests('late', { passed: 3, failed: 0 }),
    ...run,
  }
  const print = (text: string): void => {
    printed += text
    writeFileSync(signal, '')
  }
  const counts = await runTests(whole, { print, stdio: 'ignore' })
  const lines = await readFile(journal, 'utf8').catch(() => '')
  return { counts, parts: lines.split('\n').filter((line) => line !== '') }
}

describe('make test', () => {
  it('adds up the tests of both parts', async () => {
    const { counts, parts } = await play({ late: tests('late', { passed: 3, failed: 4 }) })
    expect(parts).toEqual(['lint', 'early', 'late'])
    expect(summaryLine(counts)).toBe('5 passed, 4 failed')
  })

  it('prepares in the background, and starts the late tests when that has ended', async () => {
    const script = `
      console.log('built')
      const timer = setInterval(() => {
        if (!require('node:fs').existsSync(${JSON.stringify(signal)})) return
        clearInterval(timer)
        ${record('prepared')}
      }, 20)`
    const { counts, parts } = await play({ prepare: node(script) })
    expect(parts).toEqual(['lint', 'early', 'prepared', 'late'])
    expect(printed).toBe('waiting for the control plane\nbuilt\n')
    expect(counts).toEqual({ passed: 5, failed: 0 })
  })

  it('counts a failed preparation as a failure, prints its output and leaves the late tests out', async () => {
    const { counts, parts } = await play({ prepare: node(`console.error('no way to build'); process.exitCode = 1`) })
    expect(parts).toEqual(['lint', 'early'])
    expect(printed).toContain('no way to build\nthe control plane could not be prepared')
    expect(counts).toEqual({ passed: 2, failed: 1 })
  })

  it('ends at a failed check, and stops the preparation', async () => {
    const begunAt = performance.now()
    const { counts, parts } = await play({
      prepare: node(`setTimeout(() => { ${record('prepared')} }, 20_000)`),
      checks: [node('process.exitCode = 2'), node(record('never'))],
    })
    expect(performance.now() - begunAt).toBeLessThan(10_000)
    expect(parts).toEqual([])
    expect(counts).toEqual({ passed: 0, failed: 1 })
  })

  it('counts a part that dies before its tests end as a failure', async () => {
    const { counts, parts } = await play({ early: node('process.exit(7)') })
    expect(parts).toEqual(['lint', 'late'])
    expect(counts).toEqual({ passed: 3, failed: 1 })
  })

  it('counts a part whose tests passed and that failed all the same', async () => {
    const written = `require('node:fs').writeFileSync(process.env.TEST_COUNTS, '{"passed":2,"failed":0}');`
    const { counts } = await play({ early: node(`${written} process.exitCode = 1`) })
    expect(counts).toEqual({ passed: 5, failed: 1 })
  })
})
