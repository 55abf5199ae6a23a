import { type ChildProcess, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { killAtExit } from '../test/support/kill-at-exit.ts'

/** Resource usage of a process since its start. */
export interface Usage {
  readonly cpuMs: number
  readonly rssMiB: number
  readonly peakRssMiB: number
  /** The resident part that is no file: heap, buffers, stacks. */
  readonly anonymousMiB: number
}

/** Linux counts CPU time in ticks of 10 ms on every platform that Node supports. */
const tickMs = 10
const stopTimeoutMs = 20_000
const pollMs = 2

/** A Node process that reports by lines of JSON on standard output. */
export class Child {
  readonly #process: ChildProcess
  /** As text: parsing each line of the log would take the processor from the operator. */
  readonly #lines: string[] = []
  readonly #closed: Promise<number | null>
  #errors = ''
  #rest = ''
  /** When the process was spawned, on performance.now(). */
  readonly startedAt = performance.now()

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.#process = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'], env })
    this.#process.stdout?.setEncoding('utf8').on('data', (text: string) => this.#addOutput(text))
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#errors += text))
    this.#closed = new Promise((resolve, reject) => {
      this.#process.once('close', resolve)
      this.#process.once('error', reject)
    })
    this.#closed.catch(() => {
      // The failed start surfaces in `firstMatch` and `stop`.
    })
    killAtExit(this.#process)
  }

  /** The first value that `pick` returns for a line. @throws when the process exits first, or after `withinMs` */
  async firstMatch<T>(pick: (line: Readonly<Record<string, unknown>>) => T | undefined, withinMs = 60_000): Promise<T> {
    const until = performance.now() + withinMs
    for (let next = 0; ;) {
      while (next < this.#lines.length) {
        const picked = pick(JSON.parse(this.#lines[next++] ?? '') as Readonly<Record<string, unknown>>)
        if (picked !== undefined) return picked
      }
      if (this.#hasExited) throw new Error(`the process exited (exit code ${this.#process.exitCode}): ${this.#errors}`)
      if (performance.now() > until) throw new Error(`no matching line within ${withinMs / 1000} s: ${this.#errors}`)
      await delay(pollMs)
    }
  }

  async usage(): Promise<Usage> {
    const { pid = 0 } = this.#process
    const [stat, status] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/status`, 'utf8'),
    ])
    // Fields after the process name, which may contain spaces: state is field 3, utime and stime are 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const mebibytes = (name: string): number =>
      Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) / 1024
    return {
      cpuMs: (Number(fields[11]) + Number(fields[12])) * tickMs,
      rssMiB: mebibytes('VmRSS'),
      peakRssMiB: mebibytes('VmHWM'),
      anonymousMiB: mebibytes('RssAnon'),
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name)
  }

  kill(): void {
    this.signal('SIGKILL')
  }

  /** Writes to standard input and closes it. */
  send(value: unknown): void {
    this.#process.stdin?.end(JSON.stringify(value))
  }

  /** Sends SIGTERM, and SIGKILL after a timeout. @returns the exit code */
  async stop(): Promise<number | null> {
    if (this.#hasExited) return await this.#closed
    this.#process.kill('SIGTERM')
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), stopTimeoutMs)
    try {
      return await this.#closed
    } finally {
      clearTimeout(timer)
    }
  }

  get #hasExited(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null
  }

  #addOutput(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) if (line.startsWith('{')) this.#lines.push(line)
  }
}
