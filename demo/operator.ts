import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { killAtExit } from '../test/support/kill-at-exit.ts'

const program = fileURLToPath(new URL('../dist/main.js', import.meta.url))
const maxLogLines = 20
const stopTimeoutMs = 10_000

/** The built operator in a process of its own. */
export class Operator {
  readonly #child: ChildProcess
  readonly #exited: Promise<void>
  #lines: string[] = []
  #isStopping = false

  /** @param onExit called with the cause when the operator exits before `stop` */
  constructor(kubeconfig: string, onExit: (reason: string) => void) {
    const addresses = ['--metrics-bind-address', '127.0.0.1:0', '--health-probe-bind-address', '0']
    this.#child = spawn(
      process.execPath,
      [program, 'run', '--no-leader-elect', '--kubeconfig', kubeconfig, ...addresses],
      // ENOS_* and proxy variables of the caller must not configure the operator.
      { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'] } },
    )
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#lines = [...this.#lines, ...text.trimEnd().split('\n')].slice(-maxLogLines)
      })
    }
    this.#exited = new Promise((resolve) => {
      const onClose = (reason: string): void => {
        resolve()
        if (!this.#isStopping) onExit(`${reason}; its last output:\n${this.#lines.join('\n')}`)
      }
      this.#child.once('error', (error) => onClose(`the operator did not start: ${error.message}`))
      this.#child.once('close', (code, signal) => onClose(`the operator exited with ${signal ?? code}`))
    })
    killAtExit(this.#child)
  }

  /** 0 where the operator did not start. */
  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Sends SIGTERM, and SIGKILL after a timeout. Resolves when the operator has exited. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), stopTimeoutMs)
    await this.#exited
    clearTimeout(timer)
  }
}
