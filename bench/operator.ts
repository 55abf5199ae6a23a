import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Child, type Usage } from './child.ts'

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))
/** As in `npm start` and in the image. */
const nodeFlags = ['--max-semi-space-size=4']
const pollMs = 20
const idleLimitMs = 120_000

export interface OperatorOptions {
  readonly kubeconfig: string
  /** Where a CPU profile goes when it ends. */
  readonly profile: string | undefined
}

/** The operator as it is shipped, in a process of its own. */
export class Operator {
  readonly #child: Child

  constructor({ kubeconfig, profile }: OperatorOptions) {
    const profiling = profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', profile]
    const addresses = ['--metrics-bind-address', '127.0.0.1:0', '--health-probe-bind-address', '0']
    this.#child = new Child([...nodeFlags, ...profiling, main, 'run', '--no-leader-elect', ...addresses], {
      ...process.env,
      KUBECONFIG: kubeconfig,
    })
  }

  /** When its process was asked for, on performance.now(). */
  get startedAt(): number {
    return this.#child.startedAt
  }

  async usage(): Promise<Usage> {
    return await this.#child.usage()
  }

  /** Resolves when its caches are complete. */
  async working(): Promise<void> {
    await this.#child.said(({ msg }) => (msg === 'caches are complete; working' ? true : undefined))
  }

  /** Resolves when its caches are complete and its queues are empty. */
  async idle(): Promise<void> {
    await this.working()
    const until = performance.now() + idleLimitMs
    while (performance.now() < until) {
      const metrics = await this.#metrics()
      const left = sumOf(metrics, 'workqueue_depth') + sumOf(metrics, 'workqueue_unfinished_work_seconds')
      if (left === 0) return
      await delay(pollMs)
    }
    throw new Error('the operator does not come to rest')
  }

  /** How many requests that change something it has sent to the API server. */
  async writes(): Promise<number> {
    const metrics = await this.#metrics()
    const methods = ['POST', 'PUT', 'PATCH', 'DELETE']
    return methods.reduce((sum, method) => sum + sumOf(metrics, 'rest_client_requests_total', `method="${method}"`), 0)
  }

  /** @throws when it does not end as it should */
  async end(): Promise<void> {
    const code = await this.#child.end()
    if (code !== 0) throw new Error(`the operator ended with exit code ${code}`)
  }

  async #metrics(): Promise<string> {
    const port = await this.#child.said(({ port, serves }) => (serves === 'metrics' ? String(port) : undefined))
    return await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  }
}

/** The sum of the series of a metric that have this label. */
function sumOf(metrics: string, name: string, label = ''): number {
  let sum = 0
  for (const line of metrics.split('\n')) {
    const isSeries = line.startsWith(`${name}{`) || line.startsWith(`${name} `)
    if (isSeries && line.includes(label)) sum += Number(line.slice(line.lastIndexOf(' ') + 1))
  }
  return sum
}
