import { fileURLToPath } from 'node:url'
import { Child } from './child.ts'

const simulator = fileURLToPath(new URL('../dist/simulator.js', import.meta.url))

/** The simulated gateway in a process of its own: it accepts any appKey. */
export class Gateway {
  readonly #child: Child
  readonly url: string

  private constructor(child: Child, url: string) {
    this.#child = child
    this.url = url
  }

  static async start({ latencyMs = 0, lifetimeSeconds = 7200 } = {}): Promise<Gateway> {
    const lifetime = ['--lifetime', String(lifetimeSeconds), '--latency', `${latencyMs}ms`]
    const child = new Child([simulator, '--any-application', '--port', '0', ...lifetime])
    const url = await child.firstMatch(({ url }) => (typeof url === 'string' ? url : undefined))
    return new Gateway(child, url)
  }

  /** The gateway's clock, in ms. */
  async now(): Promise<number> {
    const { nowMs } = await this.#get<{ nowMs: number }>('state')
    return nowMs
  }

  /** When the token service was called since `atMs`, oldest first, on the gateway's clock. */
  async callsSince(atMs: number): Promise<number[]> {
    const { calls } = await this.#get<{ calls: { atMs: number }[] }>('calls')
    return calls.map((call) => call.atMs).filter((at) => at >= atMs)
  }

  async stop(): Promise<void> {
    await this.#child.stop()
  }

  async #get<T>(name: string): Promise<T> {
    return (await (await fetch(`${this.url}/simulator/${name}`)).json()) as T
  }
}
