import { type ChildProcess, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

/** What a process has used so far. */
export interface Usage {
  readonly cpuMs: number
  readonly rssMiB: number
  readonly peakRssMiB: number
}

/** Linux counts CPU time in ticks of 10 ms, on every platform that Node runs on. */
const tickMs = 10
const endLimitMs = 20_000

/** A Node process that writes a line of JSON for each thing that it has to say. */
export class Child {
  readonly #process: ChildProcess
  readonly #lines: unknown[] = []
  readonly #closed: Promise<number | null>
  #errors = ''
  #rest = ''
  /** Since the process was asked for, on performance.now(). */
  readonly startedAt = performance.now()

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.#process = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'], env })
    this.#process.stdout?.setEncoding('utf8').on('data', (text: string) => this.#take(text))
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#errors += text))
    this.#closed = new Promise((resolve, reject) => {
      this.#process.once('close', resolve)
      this.#process.once('error', reject)
    })
    this.#closed.catch(() => {
      // Whoever waits for a line is told that there is no process.
    })
    // Whatever ends this process, none of its children outlives it.
    const kill = (): void => {
      this.#process.kill('SIGKILL')
    }
    process.once('exit', kill)
    this.#process.once('close', () => process.off('exit', kill))
  }

  /** The first line that `pick` makes something of. @throws when the process ends, or has not said it in time */
  async said<T>(pick: (line: Readonly<Record<string, unknown>>) => T | undefined, withinMs = 60_000): Promise<T> {
    const until = performance.now() + withinMs
    while (true) {
      for (const line of this.#lines) {
        const picked = pick(line as Readonly<Record<string, unknown>>)
        if (picked !== undefined) return picked
      }
      if (this.#hasEnded) throw new Error(`the process ended (exit code ${this.#process.exitCode}): ${this.#errors}`)
      if (performance.now() > until) throw new Error(`the process did not say what was waited for: ${this.#errors}`)
      await delay(2)
    }
  }

  async usage(): Promise<Usage> {
    const { pid = 0 } = this.#process
    const [stat, status] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/status`, 'utf8'),
    ])
    // After the name, which may hold anything: state is field 3, utime and stime are 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const mebibytes = (name: string): number =>
      Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) / 1024
    return {
      cpuMs: (Number(fields[11]) + Number(fields[12])) * tickMs,
      rssMiB: mebibytes('VmRSS'),
      peakRssMiB: mebibytes('VmHWM'),
    }
  }

  /** Writes to its standard input and closes it. */
  tell(value: unknown): void {
    this.#process.stdin?.end(JSON.stringify(value))
  }

  /** SIGTERM, and SIGKILL for who does not listen. @returns the exit code */
  async end(): Promise<number | null> {
    if (this.#hasEnded) return await this.#closed
    this.#process.kill('SIGTERM')
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), endLimitMs)
    try {
      return await this.#closed
    } finally {
      clearTimeout(timer)
    }
  }

  get #hasEnded(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) if (line.startsWith('{')) this.#lines.push(JSON.parse(line))
  }
}
