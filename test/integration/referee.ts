import { secrets } from '../../src/kubernetes/types.ts'
import type { Secret } from '../../src/targets/secret.ts'
import { delay, type Harness } from './harness.ts'

export interface RefereeOptions {
  readonly harness: Harness
  readonly namespace: string
  /** The gateway's verdict on a token. */
  readonly isValid: (token: string) => boolean
  /** Secrets that must hold a valid token, by name, and the key of each. */
  readonly targets: ReadonlyMap<string, string>
  /** Foreign Secrets: only the keys of these targets may change in them. */
  readonly bystanders?: readonly string[]
}

export interface Findings {
  readonly samples: number
  /** Samples of targets with a token that the gateway refused. */
  readonly expired: number
  /** Time during which any target held such a token, in ms. */
  readonly expiredMs: number
  readonly maxExpiredMs: number
  /** Targets that went missing without a deletion by the test, by name. */
  readonly lost: readonly string[]
  /** Changed or deleted bystanders, by name. */
  readonly touched: readonly string[]
  /** Distinct tokens in all samples. */
  readonly tokens: number
}

const everyMs = 100

/**
 * Reads the targets from the API server ten times a second, and asks the gateway whether their tokens are valid. While
 * the API server does not answer, consumers have the last state.
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

  /** Ignores this target, for at most this long, from its next bad state until it is valid again. */
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
      // Some tests stop the API server.
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
    // Repaired before a sample saw it, or never spoiled.
    const isOver = isGood && (excuse.wasBad || now > excuse.until)
    if (isOver) this.#excused.delete(name)
    return !isOver
  }
}

/** The foreign part of a Secret, as a text for comparison. */
function foreignPart(secret: Secret | undefined, ourKey: string | undefined): string {
  if (secret === undefined) return 'gone'
  const { data = {}, metadata, type } = secret
  const kept = Object.entries(data).filter(([key]) => key !== ourKey)
  const { annotations, labels, ownerReferences, uid } = metadata
  return JSON.stringify({ type, uid, labels, annotations, ownerReferences, data: kept.sort() })
}
