import type { Simulator } from '../../simulator/server.ts'
import { delay, type Harness } from './harness.ts'

export interface Findings {
  readonly samples: number
  /** Samples of targets that held a token which the gateway did not take any more, or none. */
  readonly expired: number
  readonly longestExpiredMs: number
  /** Distinct tokens that were seen. */
  readonly tokens: number
}

/** Looks at targets ten times a second, from the API server, and asks the gateway itself whether their tokens are good. */
export class Referee {
  readonly #done: Promise<Findings>
  #isStopped = false

  constructor(harness: Harness, gateway: Simulator, namespace: string, targets: readonly string[]) {
    this.#done = this.#watch(harness, gateway, namespace, targets)
  }

  async stop(): Promise<Findings> {
    this.#isStopped = true
    return await this.#done
  }

  async #watch(harness: Harness, gateway: Simulator, namespace: string, targets: readonly string[]): Promise<Findings> {
    const tokens = new Set<string>()
    const badSince = new Map<string, number>()
    let [samples, expired, longestExpiredMs] = [0, 0, 0]
    while (!this.#isStopped) {
      for (const target of targets) {
        const token = (await harness.data(namespace, target))?.['accessToken'] ?? ''
        const isGood = gateway.service.isValid(token)
        const now = performance.now()
        samples++
        tokens.add(token)
        if (isGood) {
          badSince.delete(target)
          continue
        }
        expired++
        const since = badSince.get(target) ?? now
        badSince.set(target, since)
        longestExpiredMs = Math.max(longestExpiredMs, now - since)
      }
      await delay(100)
    }
    return { samples, expired, longestExpiredMs, tokens: tokens.size }
  }
}
