import { type Clock, sleep } from '../src/lib/clock.ts'

/** The gateway's own view of tokens: the referee takes no information from the operator. */
export interface GatewayTruth {
  isValid(token: string): boolean
  /** In ms on the monotonic clock. */
  expiresAt(token: string): number | undefined
}

export interface RefereeOptions {
  readonly clock: Clock
  readonly gateway: GatewayTruth
  readonly targets: readonly string[]
  /** Reads the token of each target; a target without a token, or without a Secret, is left out. */
  readonly getTokens: (signal: AbortSignal) => Promise<ReadonlyMap<string, string>>
  /** Called when targets are first sampled with a new valid token; the old one had `oldLifeLeftMs` left. */
  readonly onRenewed?: (targets: readonly string[], oldLifeLeftMs: number) => void
  /** Called when a target is first sampled without a valid token, outside its excuse. */
  readonly onExpired?: (target: string) => void
}

/** The samples of one target. */
export interface TargetFindings {
  /** By the gateway's expiry; undefined where the target holds no valid token. */
  readonly lifeLeftMs: number | undefined
  readonly renewals: number
  /** Samples without a valid token, outside an excuse. */
  readonly expired: number
}

export interface Findings {
  /** One for each target in each round. */
  readonly samples: number
  /** As in TargetFindings, of all targets together. */
  readonly expired: number
  /** Samples without a valid token during an excuse. */
  readonly tampered: number
  /** Rounds in which the API server did not answer. */
  readonly failedRounds: number
  /** The longest time between two rounds, in ms: a shorter failure may have gone unsampled. */
  readonly maxGapMs: number
  /** The shortest life that an old token had left when its successor was sampled, in ms; Infinity without a renewal. */
  readonly minHeadroomMs: number
}

interface TargetRecord {
  /** The last valid token; a damaged target keeps the token that it should hold. */
  held: string | undefined
  isValid: boolean
  /** Not valid in the last round, outside an excuse. */
  isExpired: boolean
  /** The demo has damaged the target, and the time for its repair has not run out. */
  isExcused: boolean
  renewals: number
  expired: number
}

/** One round's sample of one target. */
interface Sample {
  readonly token: string
  readonly now: number
  readonly wasExcused: boolean
}

const sampleEveryMs = 200

/** Samples all targets from the API server five times a second and checks their tokens with the gateway. */
export class Referee {
  readonly #options: RefereeOptions
  readonly #records: ReadonlyMap<string, TargetRecord>
  #samples = 0
  #tampered = 0
  #failedRounds = 0
  #maxGapMs = 0
  #minHeadroomMs = Infinity
  #lastRoundAt: number | undefined

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
      failedRounds: this.#failedRounds,
      maxGapMs: this.#maxGapMs,
      minHeadroomMs: this.#minHeadroomMs,
    }
  }

  /** @throws RangeError for an unknown target */
  findingsOf(target: string): TargetFindings {
    const { expired, held, isValid, renewals } = this.#record(target)
    const lifeLeftMs = isValid ? this.#lifeLeftMs(held, this.#options.clock.now()) : 0
    return { lifeLeftMs: lifeLeftMs > 0 ? lifeLeftMs : undefined, renewals, expired }
  }

  /** Until `endExcuse`, an invalid token on this target counts as tampered, not as expired. */
  excuse(target: string): void {
    this.#record(target).isExcused = true
  }

  endExcuse(target: string): void {
    this.#record(target).isExcused = false
  }

  /** Samples until the signal aborts. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.sampleAll(signal)
      await sleep(this.#options.clock, sampleEveryMs, signal).catch(() => {
        // The signal aborted: the loop ends.
      })
    }
  }

  /** One round: a sample of each target. */
  async sampleAll(signal: AbortSignal): Promise<void> {
    const { clock, getTokens, onRenewed } = this.#options
    // A reply may show a damaged target whose repair, and end of excuse, come before the reply arrives.
    const excusedBefore = new Set([...this.#records].filter(([, { isExcused }]) => isExcused).map(([target]) => target))
    const tokens = await getTokens(signal).catch(() => {
      // Counted as a failed round, which fails the demo.
      return undefined
    })
    if (signal.aborted) return
    if (tokens === undefined) {
      this.#failedRounds++
      return
    }
    const now = clock.now()
    this.#maxGapMs = Math.max(this.#maxGapMs, now - (this.#lastRoundAt ?? now))
    this.#lastRoundAt = now
    const renewed = new Map<string, number>()
    for (const [target, record] of this.#records) {
      const sample = { token: tokens.get(target) ?? '', now, wasExcused: excusedBefore.has(target) }
      const oldLifeLeftMs = this.#judge(target, record, sample)
      if (oldLifeLeftMs !== undefined) renewed.set(target, oldLifeLeftMs)
    }
    // The targets of one application are renewed, and reported, together.
    for (const [lifeLeftMs, together] of Map.groupBy(renewed, ([, oldLifeLeftMs]) => oldLifeLeftMs)) {
      this.#minHeadroomMs = Math.min(this.#minHeadroomMs, lifeLeftMs)
      onRenewed?.(
        together.map(([target]) => target),
        lifeLeftMs,
      )
    }
  }

  /** @returns the remaining life of the old token, in ms, where a new token has replaced it */
  #judge(target: string, record: TargetRecord, { now, token, wasExcused }: Sample): number | undefined {
    const wasExpired = record.isExpired
    record.isValid = this.#options.gateway.isValid(token)
    record.isExpired = !record.isValid && !wasExcused && !record.isExcused
    this.#samples++
    if (record.isExpired) {
      record.expired++
      if (!wasExpired) this.#options.onExpired?.(target)
    } else if (!record.isValid) {
      this.#tampered++
    }
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
    if (record === undefined) throw new RangeError(`no target has the name ${target}`)
    return record
  }
}
