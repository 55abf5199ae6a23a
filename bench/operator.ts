import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Child, type Usage } from './child.ts'

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))
const pollMs = 20
const maxIdleWaitMs = 120_000
const quietMs = 5000

export interface OperatorOptions {
  readonly kubeconfig: string
  /** Options of `run`; default: --no-leader-elect. */
  readonly args?: readonly string[]
  /** Options of Node. */
  readonly nodeArgs?: readonly string[]
  /** Directory for a CPU profile, which is written at the exit. */
  readonly profile: string | undefined
}

/** Requests to the API server since the start. */
export interface RequestCounts {
  readonly all: number
  readonly writes: number
}

/** Options of Node with which `liveHeapMiB` can be asked for. */
export const collectable = [
  '--expose-gc',
  '--import',
  `data:text/javascript,let collection=0;process.on("SIGUSR2",()=>{gc({type:"major",flavor:"last-resort"});console.log(JSON.stringify({collection:++collection,liveBytes:process.memoryUsage().heapUsed}))})`,
]

/** The built operator in a process of its own. */
export class Operator {
  readonly #child: Child
  #collections = 0

  constructor({ args = ['--no-leader-elect'], kubeconfig, nodeArgs = [], profile }: OperatorOptions) {
    const profiling = profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', profile]
    const addresses = ['--metrics-bind-address', '127.0.0.1:0', '--health-probe-bind-address', '0']
    this.#child = new Child([...nodeArgs, ...profiling, main, 'run', ...args, ...addresses], {
      ...process.env,
      KUBECONFIG: kubeconfig,
    })
  }

  /** When the process was spawned, on performance.now(). */
  get startedAt(): number {
    return this.#child.startedAt
  }

  async usage(): Promise<Usage> {
    return await this.#child.usage()
  }

  /** Collects all garbage first. Needs the options `collectable`. */
  async liveHeapMiB(): Promise<number> {
    const asked = ++this.#collections
    this.#child.signal('SIGUSR2')
    return await this.#child.firstMatch(({ collection, liveBytes }) =>
      collection === asked ? Number(liveBytes) / 1024 / 1024 : undefined,
    )
  }

  /** Resolves when the caches have synced. */
  async synced(): Promise<void> {
    // The log line at the start of the workers is the only one with the number of cached credentials.
    await this.#child.firstMatch(({ credentials }) => (typeof credentials === 'number' ? true : undefined))
  }

  /** Resolves when the caches have synced and the work queues are empty. */
  async idle(): Promise<void> {
    await this.synced()
    const until = performance.now() + maxIdleWaitMs
    while (performance.now() < until) {
      const metrics = await this.metrics()
      const left = sumOf(metrics, 'workqueue_depth') + sumOf(metrics, 'workqueue_unfinished_work_seconds')
      if (left === 0) return
      await delay(pollMs)
    }
    throw new Error(`the work queues are not empty after ${maxIdleWaitMs / 1000} s`)
  }

  /** Resolves when the work queues are empty, and nothing was written for 5 s: events come after the work. */
  async quiet(): Promise<void> {
    await this.idle()
    const until = performance.now() + maxIdleWaitMs
    let before: RequestCounts | undefined
    while (performance.now() < until) {
      const now = await this.requests()
      if (now.writes === before?.writes) return
      before = now
      await delay(quietMs)
    }
    throw new Error(`the operator still writes after ${maxIdleWaitMs / 1000} s`)
  }

  async requests(): Promise<RequestCounts> {
    const metrics = await this.metrics()
    const count = (method: string): number => sumOf(metrics, 'rest_client_requests_total', `method="${method}"`)
    const writes = ['POST', 'PUT', 'PATCH', 'DELETE'].reduce((sum, method) => sum + count(method), 0)
    return { all: writes + count('GET'), writes }
  }

  /** Resolves when this replica leads. */
  async leading(withinMs = 60_000): Promise<void> {
    await this.#child.firstMatch(({ msg }) => (msg === 'acquired the lease, leading' ? true : undefined), withinMs)
  }

  /** When this replica released the lease, on performance.now(). */
  async released(): Promise<number> {
    return await this.#child.firstMatch(({ msg, time }) =>
      msg === 'released the lease' ? Date.parse(String(time)) - performance.timeOrigin : undefined,
    )
  }

  kill(): void {
    this.#child.kill()
  }

  /** @throws when the exit code is not 0 */
  async stop(): Promise<void> {
    const code = await this.#child.stop()
    if (code !== 0) throw new Error(`the operator exited with exit code ${code}`)
  }

  async metrics(): Promise<string> {
    const port = await this.#child.firstMatch(({ port, serves }) => (serves === 'metrics' ? String(port) : undefined))
    return await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  }
}

/** The sum of a metric's series that contain `label`. */
export function sumOf(metrics: string, name: string, label = ''): number {
  let sum = 0
  for (const line of metrics.split('\n')) {
    const isSeries = line.startsWith(`${name}{`) || line.startsWith(`${name} `)
    if (isSeries && line.includes(label)) sum += Number(line.slice(line.lastIndexOf(' ') + 1))
  }
  return sum
}
