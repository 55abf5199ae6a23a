import { type ChildProcess, spawn } from 'node:child_process'
import { readFile, utimes } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, inject, it, onTestFinished } from 'vitest'
import { runToEnd } from '../support/run.ts'
import { eventually } from './harness.ts'
import { parseShellBlocks } from './shell-blocks.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const blocks = parseShellBlocks(await readFile(join(root, 'CONTRIBUTING.md'), 'utf8'))

/** Commands that are run elsewhere, and where. */
const ranElsewhere: Readonly<Record<string, string>> = {
  'make test-unit': 'make test, of which this test is a part',
  'make test': 'make test, of which this test is a part',
  'make lint': 'make test, of which this test is a part',
  'make hooks': 'test/unit/tools/commit-subject.test.ts, in a repository of its own',
  'make commits': 'test/unit/tools/commit-subject.test.ts, for this clone need not have a main',
}

/** Commands that run until they are interrupted, and their output when they work. */
const lasting: readonly { readonly begins: RegExp; readonly works: RegExp }[] = [
  { begins: /^NODE_OPTIONS=--inspect\S* make run/, works: /Debugger listening on [^]*serves/ },
  { begins: /^make run/, works: /serves/ },
  { begins: /^make watch/, works: /Waiting for file changes/ },
]

/** The environment of a contributor's shell, without variables of this run of vitest. */
function environment(): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(?:VITEST|TEST|NODE_ENV$|NODE_OPTIONS$|MAKE|MFLAGS|npm_|FORCE_COLOR$)/.test(name),
  )
  return {
    ...Object.fromEntries(inherited),
    PATH: [dirname(process.execPath), inject('assets'), process.env['PATH']].join(delimiter),
    KUBECONFIG: inject('adminKubeconfig'),
    // Ports that are free, whatever else runs on this machine.
    ENOS_METRICS_BIND_ADDRESS: '127.0.0.1:0',
    ENOS_HEALTH_PROBE_BIND_ADDRESS: '127.0.0.1:0',
  }
}

interface Running {
  readonly output: () => string
  readonly stop: () => Promise<void>
}

/** Runs a command in a process group of its own, as a terminal does. */
function start(command: string): Running {
  const child: ChildProcess = spawn('bash', ['-c', command], {
    cwd: root,
    env: environment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  let isClosed = false
  void closed.then(() => (isClosed = true))
  const stop = async (): Promise<void> => {
    // As Ctrl-C does.
    if (!isClosed && child.pid !== undefined) process.kill(-child.pid, 'SIGINT')
    await closed
  }
  onTestFinished(stop)
  return { output: () => output, stop }
}

describe('CONTRIBUTING.md', () => {
  const commands = blocks.filter(({ notRun }) => notRun === undefined).flatMap((block) => block.commands)
  const present = commands.filter((command) => ranElsewhere[command] === undefined)
  const lastingCommands = present.filter((command) => lasting.some(({ begins }) => begins.test(command)))

  it('has each command that is run elsewhere', () => {
    expect(commands).toEqual(expect.arrayContaining(Object.keys(ranElsewhere)))
  })

  it.each(present.filter((command) => !lastingCommands.includes(command)))(
    '%s ends without an error',
    { timeout: 120_000 },
    async (command) => {
      const { code, stderr, stdout } = await runToEnd('bash', ['-c', `cd '${root}' && ${command}`], {
        env: environment(),
      })
      expect(code, stdout + stderr).toBe(0)
      if (command.includes('vitest')) expect(stdout).toMatch(/^[1-9]\d* passed, 0 failed$/m)
    },
  )

  it.each(lastingCommands)('%s works until it is interrupted', { timeout: 120_000 }, async (command) => {
    const running = start(command)
    const works = lasting.find(({ begins }) => begins.test(command))?.works
    await eventually(() => expect(running.output()).toMatch(works ?? /$^/), 60_000)
    await running.stop()
  })

  it('has `make run WATCH=1` restart on each save', { timeout: 120_000 }, async () => {
    const running = start('make run WATCH=1')
    const starts = (): number => running.output().split('listening').length - 1
    // Metrics and probes; then the caches of a complete start.
    await eventually(() => expect(running.output()).toMatch(/listening[^]*listening[^]*caches/), 60_000)
    const now = new Date()
    await utimes(join(root, 'src/version.ts'), now, now)
    await eventually(() => expect(starts(), running.output()).toBe(4), 30_000)
  })
})
