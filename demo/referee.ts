import { type Clock, sleep } from '../src/lib/clock.ts'

/** What the gateway says of tokens: nothing of what the referee knows comes from the operator. */
export interface GatewayTruth {
  isValid(token: string): boolean
  /** On the clock's monotonic clock, in ms. */
  expiresAt(token: string): number | undefined
}

export interface RefereeOptions {
  readonly clock: Clock
  readonly gateway: GatewayTruth
  readonly targets: readonly string[]
  /** The token that each target holds at this moment; a target that has none, or is not there, is absent. */
  readonly read: (signal: AbortSignal) => Promise<ReadonlyMap<string, string>>
  /** Called when targets are first seen with a new valid token, in place of another that had so long left. */
  readonly onRenewed?: (targets: readonly string[], oldLifeLeftMs: number) => void
  /** Called when a target is first seen without a valid token, and nobody but the operator is to blame. */
  readonly onExpired?: (target: string) => void
}

/** What was seen of one target. */
export interface Sighting {
  /** The gateway's word on the token; undefined where the target holds none that is valid. */
  readonly lifeLeftMs: number | undefined
  readonly renewals: number
  /** Samples without a valid token, for which nobody but the operator was to blame. */
  readonly expired: number
}

export interface Findings {
  /** One for each target at each look. */
  readonly samples: number
  /** As in Sighting, of all targets together. */
  readonly expired: number
  /** Samples without a valid token between the demo's own attack on a target and its repair, while that is in time. */
  readonly tampered: number
  /** Looks at which the API server did not answer. */
  readonly failedLooks: number
  /** The longest time between two looks, in ms: what lasted less may have gone unseen. */
  readonly maxGapMs: number
  /** The least life that a token had left when its successor was seen, in ms; Infinity where none was renewed. */
  readonly leastHeadroomMs: number
}

interface TargetRecord {
  /** The valid token that was seen last; a spoilt target is still remembered by the one that it should hold. */
  held: string | undefined
  isValid: boolean
  /** Not valid at the last look, and nobody but the operator is to blame. */
  isExpired: boolean
  /** The demo itself has spoilt it, and it may still be repaired in time. */
  isExcused: boolean
  renewals: number
  expired: number
}

/** What one look saw of one target. */
interface Look {
  readonly token: string
  readonly now: number
  readonly wasExcused: boolean
}

const betweenLooksMs = 200

/** Looks at all targets five times a second, from the API server, and asks the gateway whether their tokens are valid. */
export class Referee {
  readonly #options: RefereeOptions
  readonly #records: ReadonlyMap<string, TargetRecord>
  #samples = 0
  #tampered = 0
  #failedLooks = 0
  #maxGapMs = 0
  #leastHeadroomMs = Infinity
  #lastLookAt: number | undefined

  constructor(options: RefereeOptions) {
    this.#options = options
    this.#records = new Map(
      options.targets.map((target) => [
        target,
        { held: undefined, isValid: true, isExpired: false, isExcused: false, renewals: 0, expired: 0 },
      ]),
    )
  }

  get findings(): Findings {
    return {
      samples: this.#samples,
      expired: [...this.#records.values()].reduce((sum, { expired }) => sum + expired, 0),
      tampered: this.#tampered,
      failedLooks: this.#failedLooks,
      maxGapMs: this.#maxGapMs,
      leastHeadroomMs: this.#leastHeadroomMs,
    }
  }

  /** @throws RangeError for a target that is not watched */
  sighting(target: string): Sighting {
    const { expired, held, isValid, renewals } = this.#record(target)
    const lifeLeftMs = isValid ? this.#lifeLeftMs(held, this.#options.clock.now()) : 0
    return { lifeLeftMs: lifeLeftMs > 0 ? lifeLeftMs : undefined, renewals, expired }
  }

  /** From now until `endExcuse`, an invalid token on this target is the demo's doing. */
  excuse(target: string): void {
    this.#record(target).isExcused = true
  }

  endExcuse(target: string): void {
    this.#record(target).isExcused = false
  }

  /** Looks until the signal aborts. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.look(signal)
      await sleep(this.#options.clock, betweenLooksMs, signal).catch(() => {
        // Aborted: the loop ends.
      })
    }
  }

  /** One look at all targets. */
  async look(signal: AbortSignal): Promise<void> {
    const { clock, onRenewed, read } = this.#options
    // What is read now may show a target that is repaired before the answer arrives.
    const excusedBefore = new Set([...this.#records].filter(([, { isExcused }]) => isExcused).map(([target]) => target))
    const tokens = await read(signal).catch(() => {
      // Whatever the reason, there was nothing to see: counted, and told at the end.
      return undefined
    })
    if (signal.aborted) return
    if (tokens === undefined) {
      this.#failedLooks++
      return
    }
    const now = clock.now()
    this.#maxGapMs = Math.max(this.#maxGapMs, now - (this.#lastLookAt ?? now))
    this.#lastLookAt = now
    const renewed = new Map<string, number>()
    for (const [target, record] of this.#records) {
      const look = { token: tokens.get(target) ?? '', now, wasExcused: excusedBefore.has(target) }
      const oldLifeLeftMs = this.#judge(target, record, look)
      if (oldLifeLeftMs !== undefined) renewed.set(target, oldLifeLeftMs)
    }
    // The targets of one application are renewed together, and told together.
    for (const [lifeLeftMs, together] of Map.groupBy(renewed, ([, oldLifeLeftMs]) => oldLifeLeftMs)) {
      this.#leastHeadroomMs = Math.min(this.#leastHeadroomMs, lifeLeftMs)
      onRenewed?.(
        together.map(([target]) => target),
        lifeLeftMs,
      )
    }
  }

  /** @returns the life that the old token has left, in ms, where a new one has come in its place */
  #judge(target: string, record: TargetRecord, { now, token, wasExcused }: Look): number | undefined {
    const wasExpired = record.isExpired
    record.isValid = this.#options.gateway.isValid(token)
    record.isExpired = !record.isValid && !wasExcused && !record.isExcused
    this.#samples++
    if (record.isExpired) {
      record.expired++
      if (!wasExpired) this.#options.onExpired?.(target)
    } else if (!record.isValid) this.#tampered++
    if (!record.isValid) return undefined
    const old = record.held
    record.held = token
    if (old === undefined || old === token) return undefined
    record.renewals++
    return Math.max(0, this.#lifeLeftMs(old, now))
  }

  #lifeLeftMs(token: string | undefined, now: number): number {
    return (this.#options.gateway.expiresAt(token ?? '') ?? -Infinity) - now
  }

  #record(target: string): TargetRecord {
    const record = this.#records.get(target)
    if (record === undefined) throw new RangeError(`no target is called ${target}`)
    return record
  }
}
