import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { eventually } from './harness.ts'

export interface OperatorOptions {
  readonly kubeconfig?: string
  /** Default: --no-leader-elect. */
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Options of Node.js, before the program. */
  readonly nodeArgs?: readonly string[]
}

interface LogLine {
  readonly msg?: string
  readonly serves?: string
  readonly port?: number
  readonly [field: string]: unknown
}

/** The bundled operator in a process of its own. */
export class OperatorProcess {
  readonly #child: ChildProcess
  /** Whole lines of either stream: a chunk may end within a line, and one of the other stream come between. */
  #output = ''
  #metrics = ''
  #exit: Promise<number | null>

  private constructor(child: ChildProcess) {
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      let begun = ''
      stream
        ?.setEncoding('utf8')
        .on('data', (text: string) => {
          const end = text.lastIndexOf('\n') + 1
          if (end > 0) this.#output += begun + text.slice(0, end)
          begun = end > 0 ? text.slice(end) : begun + text
        })
        .once('end', () => (this.#output += begun))
    }
    this.#exit = new Promise((resolve) => child.once('close', resolve))
  }

  /** Resolves when the operator serves metrics and probes. */
  static async start({
    args = ['--no-leader-elect'],
    env = {},
    kubeconfig = '',
    nodeArgs = [],
  }: OperatorOptions): Promise<OperatorProcess> {
    const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
    const addresses = ['--metrics-bind-address', '127.0.0.1:0', '--health-probe-bind-address', '127.0.0.1:0']
    const child = spawn(process.execPath, [...nodeArgs, main, 'run', '--log-level', 'debug', ...addresses, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, KUBECONFIG: kubeconfig, ...env },
    })
    const operator = new OperatorProcess(child)
    // Of a machine on which several test files start their processes at once.
    await eventually(() => operator.#port('probes'), 60_000)
    return operator
  }

  /** All output so far. */
  get output(): string {
    return this.#output
  }

  /** Text of the last scrape. */
  get lastMetrics(): string {
    return this.#metrics
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  log(): LogLine[] {
    return this.#output
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogLine)
  }

  /** Waits until the operator leads and its caches have synced. */
  async working(withinMs = 30_000): Promise<this> {
    await eventually(() => {
      if (!this.log().some(({ msg }) => msg === 'caches synced, starting workers')) {
        throw new Error(`not working: ${this.#output}`)
      }
    }, withinMs)
    return this
  }

  async metrics(): Promise<string> {
    const response = await this.#fetch('metrics', '/metrics')
    this.#metrics = await response.text()
    return this.#metrics
  }

  /**
   * The sum of the series of a metric that have these labels.
   *
   * @throws when the metric does not exist; one without series is 0
   */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const metrics = await this.metrics()
    const histogram = name.replace(/_(?:bucket|count|sum)$/, '')
    const isThere =
      new RegExp(`^# TYPE ${name} (?:counter|gauge)$`, 'm').test(metrics) ||
      (histogram !== name && metrics.includes(`# TYPE ${histogram} histogram\n`))
    if (!isThere) throw new Error(`the metric ${name} does not exist`)
    let sum = 0
    for (const line of metrics.split('\n')) {
      const match = /^([a-zA-Z_:]+)(?:\{(.*)\})? (\S+)$/.exec(line)
      if (match?.[1] !== name) continue
      const present = match[2] ?? ''
      if (Object.entries(labels).every(([key, value]) => present.includes(`${key}="${value}"`))) sum += Number(match[3])
    }
    return sum
  }

  /** @returns the HTTP status */
  async probe(path: '/healthz' | '/readyz'): Promise<number> {
    return (await this.#fetch('probes', path)).status
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** Resolves with the exit code, or null when a signal ended it. */
  async exited(): Promise<number | null> {
    return await this.#exit
  }

  /** SIGTERM. @returns the exit code */
  async end(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      // A process that a failed test has left paused would never answer.
      this.#child.kill('SIGCONT')
      await this.metrics().catch(() => {
        // The operator is already stopping.
      })
      this.#child.kill('SIGTERM')
    }
    return await this.#exit
  }

  /** Over a connection of its own: the operator may end an idle one just as it is used again. */
  async #fetch(serves: string, path: string): Promise<Response> {
    return await fetch(`http://127.0.0.1:${this.#port(serves)}${path}`, { headers: { connection: 'close' } })
  }

  #port(serves: string): number {
    const line = this.log().find((one) => one.serves === serves)
    if (line?.port === undefined) throw new Error(`the operator serves no ${serves}: ${this.#output}`)
    return line.port
  }
}
