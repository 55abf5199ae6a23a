import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../dist/main.js', import.meta.url))
const rememberedLines = 20
const patienceMs = 10_000

/** The operator as it is shipped, in a process of its own. */
export class Operator {
  readonly #child: ChildProcess
  readonly #exited: Promise<void>
  readonly #kill = (): void => void this.#child.kill('SIGKILL')
  #lines: string[] = []
  #isStopping = false

  /** @param onEnd called when it ends before it was told to, with why */
  constructor(kubeconfig: string, onEnd: (reason: string) => void) {
    const addresses = ['--metrics-bind-address', '127.0.0.1:0', '--health-probe-bind-address', '0']
    this.#child = spawn(
      process.execPath,
      ['--max-semi-space-size=4', program, 'run', '--no-leader-elect', '--kubeconfig', kubeconfig, ...addresses],
      // Nothing of the caller's environment may set it up otherwise.
      { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'] } },
    )
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#lines = [...this.#lines, ...text.trimEnd().split('\n')].slice(-rememberedLines)
      })
    }
    this.#exited = new Promise((resolve) => {
      const ended = (reason: string): void => {
        process.off('exit', this.#kill)
        resolve()
        if (!this.#isStopping) onEnd(`${reason}; it said last:\n${this.#lines.join('\n')}`)
      }
      this.#child.once('error', (error) => ended(`the operator did not start: ${error.message}`))
      this.#child.once('close', (code, signal) => ended(`the operator ended with ${signal ?? code}`))
    })
    // Should this process end in disorder, the operator does not outlive it.
    process.on('exit', this.#kill)
  }

  /** 0 where it did not start. */
  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** SIGTERM, and SIGKILL where that does not help. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#child.kill('SIGTERM')
    const timer = setTimeout(this.#kill, patienceMs)
    await this.#exited
    clearTimeout(timer)
  }
}
