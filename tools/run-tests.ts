import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { summaryLine, type TestCounts } from './test-summary.ts'

/** A program on the PATH, and its arguments. */
export type Command = readonly [string, ...string[]]

/** The parts of `make test`. */
export interface TestRun {
  /** Runs in the background from the start; its output is printed when it has ended. */
  readonly prepare: Command
  /** Run first, one after the other; the first that fails ends the run. */
  readonly checks: readonly Command[]
  /** Tests that need nothing prepared. */
  readonly early: Command
  /** Tests that wait for `prepare`. Not run where it failed. */
  readonly late: Command
}

export interface TestRunOptions {
  readonly print: (text: string) => void
  /** Default: the terminal's. */
  readonly stdio?: 'inherit' | 'ignore'
}

/** @returns the counts over all parts; a part that could not be run is one failure */
export async function runTests(run: TestRun, { print, stdio = 'inherit' }: TestRunOptions): Promise<TestCounts> {
  const background = startPreparation(run.prepare)
  const directory = await mkdtemp(join(tmpdir(), 'test-counts-'))
  try {
    for (const check of run.checks) {
      if ((await exitCodeOf(start(check, stdio))) !== 0) return { passed: 0, failed: 1 }
    }
    const early = await countTests(run.early, join(directory, 'early.json'), stdio)
    if (!background.hasEnded()) print('waiting for the control plane\n')
    const isPrepared = (await background.ended) === 0
    print(background.output())
    if (!isPrepared) {
      print('the control plane could not be prepared: the tests that need it were not run\n')
      return { passed: early.passed, failed: early.failed + 1 }
    }
    const late = await countTests(run.late, join(directory, 'late.json'), stdio)
    return { passed: early.passed + late.passed, failed: early.failed + late.failed }
  } finally {
    background.stop()
    await rm(directory, { recursive: true })
  }
}

interface Preparation {
  /** The exit code. */
  readonly ended: Promise<number>
  readonly hasEnded: () => boolean
  readonly output: () => string
  readonly stop: () => void
}

function startPreparation(command: Command): Preparation {
  // In this session: in one of its own, Linux (autogroup) would give it half of the CPU whatever its priority.
  const [program, ...args] = command
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  let hasEnded = false
  const ended = exitCodeOf(child)
    .catch((error: unknown) => {
      output += `${String(error)}\n`
      return 1
    })
    .finally(() => (hasEnded = true))
  const stop = (): void => void child.kill()
  process.once('exit', stop)
  return { ended, hasEnded: () => hasEnded, output: () => output, stop }
}

function start([program, ...args]: Command, stdio: 'inherit' | 'ignore', countsFile?: string): ChildProcess {
  const env = countsFile === undefined ? process.env : { ...process.env, TEST_COUNTS: countsFile }
  return spawn(program, args, { stdio, env })
}

async function exitCodeOf(child: ChildProcess): Promise<number> {
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 1))
  })
}

async function countTests(command: Command, file: string, stdio: 'inherit' | 'ignore'): Promise<TestCounts> {
  const code = await exitCodeOf(start(command, stdio, file))
  const counts = await readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as TestCounts,
    // The process ended before its tests did.
    () => ({ passed: 0, failed: 0 }),
  )
  return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // Without these the process would end with no `exit` event, and the preparation would go on.
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
  const counts = await runTests(
    {
      prepare: ['node', 'test/control-plane/prepare.ts'],
      checks: [['npm', 'run', '--silent', 'lint']],
      early: ['vitest', 'run', '--project', 'unit'],
      late: ['vitest', 'run', '--project', 'integration', '--project', 'faults'],
    },
    { print: (text) => process.stdout.write(text) },
  )
  process.stdout.write(`${summaryLine(counts)}\n`)
  process.exitCode = counts.failed === 0 ? 0 : 1
}
