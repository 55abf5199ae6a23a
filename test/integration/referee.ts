import type { Secret } from '../../src/targets/secret.ts'
import { secrets } from '../../src/kubernetes/types.ts'
import { delay, type Harness } from './harness.ts'

export interface RefereeOptions {
  readonly harness: Harness
  readonly namespace: string
  /** The gateway's own word on a token. */
  readonly isValid: (token: string) => boolean
  /** Secrets that are to hold a valid token, by name, and under which key. */
  readonly targets: ReadonlyMap<string, string>
  /** Secrets of somebody else: nothing in them but these targets' keys may ever change. */
  readonly bystanders?: readonly string[]
}

export interface Findings {
  readonly samples: number
  /** Samples of targets that held a token which the gateway did not take. */
  readonly expired: number
  /** For how long any target held one, in ms. */
  readonly expiredMs: number
  readonly maxExpiredMs: number
  /** Targets that were not there though nobody had deleted them, by name. */
  readonly lost: readonly string[]
  /** Bystanders that were changed or deleted, by name. */
  readonly touched: readonly string[]
  /** Distinct tokens that were seen. */
  readonly tokens: number
}

const everyMs = 100

/**
 * Looks at targets ten times a second, from the API server, and asks the gateway itself whether their tokens are good.
 * While the API server does not answer, what was seen last is what consumers have.
 */
export class Referee {
  readonly #options: RefereeOptions
  readonly #done: Promise<void>
  readonly #lastSeen = new Map<string, string | undefined>()
  readonly #badSince = new Map<string, number>()
  readonly #excused = new Map<string, { readonly until: number; wasBad: boolean }>()
  readonly #tokens = new Set<string>()
  readonly #lost = new Set<string>()
  readonly #touched = new Set<string>()
  #untouched: ReadonlyMap<string, string> | undefined
  #sampledAt = performance.now()
  #isStopped = false
  #samples = 0
  #expired = 0
  #expiredMs = 0
  #maxExpiredMs = 0

  constructor(options: RefereeOptions) {
    this.#options = options
    this.#done = this.#watch()
  }

  /** Somebody is about to spoil this target, within so long: what it holds then does not count until it is good again. */
  excuse(target: string, withinMs = 1000): void {
    this.#excused.set(target, { until: performance.now() + withinMs, wasBad: false })
  }

  async stop(): Promise<Findings> {
    this.#isStopped = true
    await this.#done
    return {
      samples: this.#samples,
      expired: this.#expired,
      expiredMs: Math.round(this.#expiredMs),
      maxExpiredMs: Math.round(this.#maxExpiredMs),
      lost: [...this.#lost],
      touched: [...this.#touched],
      tokens: this.#tokens.size,
    }
  }

  async #watch(): Promise<void> {
    while (!this.#isStopped) {
      const items = await this.#list()
      if (items !== undefined) this.#look(items)
      this.#judge()
      await delay(everyMs)
    }
  }

  async #list(): Promise<readonly Secret[] | undefined> {
    const { harness, namespace } = this.#options
    try {
      return (await harness.admin.list<Secret>(secrets, namespace, { timeoutMs: 1000 })).items
    } catch {
      // The API server is away, as some tests want it.
      return undefined
    }
  }

  #look(items: readonly Secret[]): void {
    const { bystanders = [], targets } = this.#options
    const byName = new Map(items.map((secret) => [secret.metadata.name ?? '', secret]))
    for (const [name, key] of targets) {
      const value = byName.get(name)?.data?.[key]
      this.#lastSeen.set(name, value === undefined ? undefined : Buffer.from(value, 'base64').toString())
    }
    const present = new Map(bystanders.map((name) => [name, foreignPart(byName.get(name), targets.get(name))]))
    this.#untouched ??= present
    for (const [name, part] of present) if (part !== this.#untouched.get(name)) this.#touched.add(name)
  }

  #judge(): void {
    const now = performance.now()
    let isAnyExpired = false
    for (const name of this.#lastSeen.keys()) {
      const token = this.#lastSeen.get(name)
      const isGood = token !== undefined && this.#options.isValid(token)
      if (isGood) this.#tokens.add(token)
      if (this.#isExcused(name, isGood, now)) continue
      this.#samples++
      if (token === undefined) this.#lost.add(name)
      if (isGood || token === undefined) {
        this.#badSince.delete(name)
        continue
      }
      this.#expired++
      isAnyExpired = true
      const since = this.#badSince.get(name) ?? now
      this.#badSince.set(name, since)
      this.#maxExpiredMs = Math.max(this.#maxExpiredMs, now - since)
    }
    if (isAnyExpired) this.#expiredMs += now - this.#sampledAt
    this.#sampledAt = now
  }

  #isExcused(name: string, isGood: boolean, now: number): boolean {
    const excuse = this.#excused.get(name)
    if (excuse === undefined) return false
    excuse.wasBad ||= !isGood
    // Put right so quickly that no sample saw it, or not spoilt at all.
    const isOver = isGood && (excuse.wasBad || now > excuse.until)
    if (isOver) this.#excused.delete(name)
    return !isOver
  }
}

/** All of a Secret that is none of ours, as a text that can be compared. */
function foreignPart(secret: Secret | undefined, ourKey: string | undefined): string {
  if (secret === undefined) return 'gone'
  const { data = {}, metadata, type } = secret
  const kept = Object.entries(data).filter(([key]) => key !== ourKey)
  const { annotations, labels, ownerReferences, uid } = metadata
  return JSON.stringify({ type, uid, labels, annotations, ownerReferences, data: kept.sort() })
}
