import { fileURLToPath } from 'node:url'
import { Child } from './child.ts'

const simulator = fileURLToPath(new URL('../dist/simulator.js', import.meta.url))

/** The simulated gateway in a process of its own: any appKey is known, and tokens live for two hours. */
export class Gateway {
  readonly #child: Child
  readonly url: string

  private constructor(child: Child, url: string) {
    this.#child = child
    this.url = url
  }

  static async start(): Promise<Gateway> {
    const child = new Child([simulator, '--any-application', '--port', '0', '--lifetime', '7200'])
    const url = await child.said(({ url }) => (typeof url === 'string' ? url : undefined))
    return new Gateway(child, url)
  }

  /** The gateway's own time, ms. */
  async now(): Promise<number> {
    const { nowMs } = await this.#get<{ nowMs: number }>('state')
    return nowMs
  }

  /** How many calls have arrived since that moment of the gateway's time; of the token service only. */
  async callsSince(atMs: number): Promise<number> {
    const { calls } = await this.#get<{ calls: { atMs: number }[] }>('calls')
    return calls.filter((call) => call.atMs >= atMs).length
  }

  async end(): Promise<void> {
    await this.#child.end()
  }

  async #get<T>(what: string): Promise<T> {
    return (await (await fetch(`${this.url}/simulator/${what}`)).json()) as T
  }
}
