import { type Clock, sleep } from '../src/lib/clock.ts'

/** What the gateway says of tokens: nothing of what the referee knows comes from the operator. */
export interface GatewayTruth {
  isValid(token: string): boolean
  /** On the clock's steady timeline, in ms. */
  expiresAt(token: string): number | undefined
}

export interface RefereeOptions {
  readonly clock: Clock
  readonly gateway: GatewayTruth
  readonly targets: readonly string[]
  /** The token that each target holds at this moment; a target that has none, or is not there, is absent. */
  readonly read: (signal: AbortSignal) => Promise<ReadonlyMap<string, string>>
  /** Called when targets are first seen with a new valid token, in place of another. */
  readonly onRenewed?: (targets: readonly string[], oldLifeLeftMs: number) => void
}

/** What was seen of one target. */
export interface Sighting {
  /** The gateway's word on the token; undefined where the target holds none that is valid. */
  readonly lifeLeftMs: number | undefined
  readonly renewals: number
}

export interface Findings {
  /** One for each target at each look. */
  readonly samples: number
  /** Samples of targets without a valid token, for which nobody but the operator was to blame. */
  readonly expired: number
  /** Samples between the demo's own attack on a target and its repair. */
  readonly tampered: number
  /** Looks at which the API server did not answer. */
  readonly failedLooks: number
  /** The longest time between two looks, in ms: what lasted less may have gone unseen. */
  readonly longestGapMs: number
}

const betweenLooksMs = 200

/** Looks at all targets five times a second, from the API server, and asks the gateway whether their tokens are valid. */
export class Referee {
  readonly #options: RefereeOptions
  readonly #held = new Map<string, string>()
  /** Targets that held no valid token at the last look. */
  readonly #invalid = new Set<string>()
  readonly #renewals = new Map<string, number>()
  /** Targets that the demo itself has spoilt, until they are repaired. */
  readonly #spoilt = new Set<string>()
  #findings: Findings = { samples: 0, expired: 0, tampered: 0, failedLooks: 0, longestGapMs: 0 }
  #lastLookAt: number | undefined

  constructor(options: RefereeOptions) {
    this.#options = options
  }

  get findings(): Findings {
    return this.#findings
  }

  /** Of all targets together. */
  get renewals(): number {
    return this.#options.targets.reduce((sum, target) => sum + (this.#renewals.get(target) ?? 0), 0)
  }

  sighting(target: string): Sighting {
    const { clock, gateway } = this.#options
    const expiresAt = this.#invalid.has(target) ? undefined : gateway.expiresAt(this.#held.get(target) ?? '')
    const lifeLeftMs = expiresAt === undefined ? 0 : expiresAt - clock.now()
    return {
      lifeLeftMs: lifeLeftMs > 0 ? lifeLeftMs : undefined,
      renewals: this.#renewals.get(target) ?? 0,
    }
  }

  /** From now until `repaired`, an invalid token on this target is the demo's doing. */
  spoilt(target: string): void {
    this.#spoilt.add(target)
  }

  repaired(target: string): void {
    this.#spoilt.delete(target)
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
    const { clock, read, targets } = this.#options
    // What is read now may show a target that is repaired before the answer arrives.
    const spoiltBefore = new Set(this.#spoilt)
    const tokens = await read(signal).catch(() => {
      // Whatever the reason, there was nothing to see: counted, and told at the end.
      return undefined
    })
    if (signal.aborted) return
    if (tokens === undefined) {
      this.#count({ failedLooks: 1 })
      return
    }
    const now = clock.now()
    this.#findings = {
      ...this.#findings,
      longestGapMs: Math.max(this.#findings.longestGapMs, now - (this.#lastLookAt ?? now)),
    }
    this.#lastLookAt = now
    const renewed = targets.filter((target) => {
      const isSpoilt = spoiltBefore.has(target) || this.#spoilt.has(target)
      return this.#judge(target, tokens.get(target) ?? '', isSpoilt)
    })
    for (const [lifeLeftMs, together] of Map.groupBy(renewed, (target) =>
      this.#take(target, tokens.get(target) ?? ''),
    )) {
      this.#options.onRenewed?.(together, lifeLeftMs)
    }
  }

  /** @returns whether the target has a new token in place of another */
  #judge(target: string, token: string, isSpoilt: boolean): boolean {
    const isValid = this.#options.gateway.isValid(token)
    const isExcused = !isValid && isSpoilt
    if (isValid) this.#invalid.delete(target)
    else this.#invalid.add(target)
    this.#count({ samples: 1, expired: isValid || isExcused ? 0 : 1, tampered: isExcused ? 1 : 0 })
    const held = this.#held.get(target)
    // A spoilt target is still remembered by the token that it should hold.
    if (held === undefined && isValid) this.#held.set(target, token)
    return isValid && held !== undefined && held !== token
  }

  /** @returns the life that the old token has left, in ms */
  #take(target: string, token: string): number {
    const { clock, gateway } = this.#options
    const old = gateway.expiresAt(this.#held.get(target) ?? '')
    this.#held.set(target, token)
    this.#renewals.set(target, (this.#renewals.get(target) ?? 0) + 1)
    return old === undefined ? 0 : Math.max(0, Math.round((old - clock.now()) / 100) * 100)
  }

  #count(more: Partial<Findings>): void {
    const { samples, expired, tampered, failedLooks, longestGapMs } = this.#findings
    this.#findings = {
      samples: samples + (more.samples ?? 0),
      expired: expired + (more.expired ?? 0),
      tampered: tampered + (more.tampered ?? 0),
      failedLooks: failedLooks + (more.failedLooks ?? 0),
      longestGapMs,
    }
  }
}
