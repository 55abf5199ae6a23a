import type { Failure } from '../enos/failure.ts'
import { type Clock, sleep, type Timer } from '../lib/clock.ts'
import type { Application } from './application.ts'
import { CircuitState } from './circuit-state.ts'
import { maxRetryAfterMs, probeDelayMs, recoveryPaceMs } from './schedule.ts'

/** What an attempt found out about its gateway: that it answers, why it does not, or neither. */
export type GatewayHealth = 'answers' | 'unknown' | Failure

export interface CircuitBreakerOptions {
  readonly clock: Clock
  /**
   * Queues the attempt of an application that was held, or that an outage delayed. Called in the order of urgency.
   * @returns false when nothing is due for it any more
   */
  readonly release: (application: Application) => boolean
}

/**
 * Admits a gateway's attempts, so that ten thousand applications and a dead gateway make no storm.
 *
 * - Closed: every attempt is admitted.
 * - Open: an application that is due is held here, without a call and without a slot of the queue.
 * - Half-open: one held application at a time is released as a probe (`probeDelayMs`): at most one attempt a second,
 *   or four where a held token has less than 16 s left; every 5 s in the long run.
 * - Closed again: all held applications are released, the nearest expiry first, at a constant pace (`recoveryPaceMs`):
 *   at most 100 attempts a second, up to 1,000 where expiries demand it. Applications that become due meanwhile keep
 *   the same pace.
 *
 * `CircuitState` decides when the circuit opens and closes. At most one entry per application of the gateway is kept;
 * `remove` drops it.
 *
 * Invariant: the timer is set exactly while the circuit is open, an application is held, and no probe is released.
 */
export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions
  readonly #state = new CircuitState<Application>()
  /** Held applications, each with whether its last failure was caller-side and says nothing about the gateway. */
  readonly #held = new Map<Application, boolean>()
  /**
   * Released as a probe, and not yet admitted. While all slots of the queue are taken by calls that hang, the probe
   * waits for one of them, and no other is released.
   */
  #probing: Application | undefined
  /** Released when the circuit closed, and not yet admitted. */
  readonly #recovering = new Set<Application>()
  #paceMs = 0
  #lastAdmittedAt = Number.NEGATIVE_INFINITY
  /** Since the circuit opened. */
  #probes = 0
  #lastProbeAt = Number.NEGATIVE_INFINITY
  /** No probe before this moment: Retry-After of the gateway. */
  #retryAfterUntil = Number.NEGATIVE_INFINITY
  /** The nearest expiry among the tokens of held applications. */
  #nearestExpiryAt = Number.POSITIVE_INFINITY
  #timer: { readonly dueAt: number; readonly timer: Timer } | undefined

  constructor(options: CircuitBreakerOptions) {
    this.#options = options
  }

  get isOpen(): boolean {
    return this.#state.isOpen
  }

  /** The failure of the last attempt; undefined after an answer. */
  get lastFailure(): Failure | undefined {
    return this.#state.lastFailure
  }

  /** The application that is released as a probe and waits in the queue. */
  get probing(): Application | undefined {
    return this.#probing
  }

  /**
   * When the next probe is released, monotonic clock; undefined when none is held, or one is released. A moment long
   * past means that the timer was lost.
   */
  get nextProbeAt(): number | undefined {
    return this.#timer?.dueAt
  }

  isHolding(application: Application): boolean {
    return this.#held.has(application)
  }

  /**
   * @param isCallerSide the last failure of the identity that is due was caller-side: it says nothing about the gateway
   * @returns whether the attempt may be made, followed by `report`; false when the application is held, to be released
   *   later
   */
  async admit(application: Application, isCallerSide: boolean, signal: AbortSignal): Promise<boolean> {
    await this.#waitForPace(signal)
    this.#recovering.delete(application)
    if (this.#probing === application) {
      this.#probing = undefined
      this.#probes++
      this.#lastProbeAt = this.#options.clock.now()
      this.#arm()
      return true
    }
    if (!this.isOpen) return true
    this.#hold(application, isCallerSide)
    return false
  }

  /** Nothing is due for the application any more. */
  withdraw(application: Application): void {
    this.#held.delete(application)
    this.#recovering.delete(application)
    if (this.#probing === application) this.#probing = undefined
    this.#arm()
  }

  /** Drops an application that no longer exists. */
  remove(application: Application): void {
    this.withdraw(application)
    this.#state.remove(application)
  }

  /** Takes the result of an admitted attempt. */
  report(application: Application, health: GatewayHealth, applicationCount: number): void {
    if (health === 'answers') {
      const failed = [...this.#state.failed]
      this.#retryAfterUntil = Number.NEGATIVE_INFINITY
      if (this.#state.reportAnswer()) this.#recover(failed.filter((other) => other !== application))
    } else if (health !== 'unknown') {
      const now = this.#options.clock.now()
      const retryAfterMs = Math.min(health.retryAfterMs ?? 0, maxRetryAfterMs)
      this.#retryAfterUntil = Math.max(this.#retryAfterUntil, now + retryAfterMs)
      if (this.#state.reportFailure(application, health, applicationCount)) {
        this.#probes = 0
        this.#lastProbeAt = now
        this.#recovering.clear()
      }
    }
    this.#arm()
  }

  /** Releases applications in the order of urgency, and admits them at a pace that the gateway can take. */
  releaseAll(applications: Iterable<Application>): void {
    const now = this.#options.clock.now()
    const released = [...applications].sort(byUrgency)
    this.#paceMs = recoveryPaceMs(released.map(({ token }) => (token === undefined ? 0 : token.expiresAt - now)))
    for (const application of released) {
      this.#recovering.add(application)
      if (!this.#options.release(application)) this.#recovering.delete(application)
    }
  }

  /** The wall clock jumped ahead: every deadline comes nearer by that. */
  onClockJump(jumpMs: number): void {
    this.#nearestExpiryAt -= jumpMs
    this.#retryAfterUntil -= jumpMs
    this.#lastProbeAt -= jumpMs
    this.#arm()
  }

  shutDown(): void {
    this.#held.clear()
    this.#arm()
  }

  #hold(application: Application, isCallerSide: boolean): void {
    this.#held.set(application, isCallerSide)
    this.#nearestExpiryAt = Math.min(this.#nearestExpiryAt, this.#expiryOf(application))
    this.#arm()
  }

  /** Spaces admissions while applications that an outage delayed are coming back. */
  async #waitForPace(signal: AbortSignal): Promise<void> {
    if (this.isOpen || this.#recovering.size === 0) return
    const { clock } = this.#options
    const now = clock.now()
    this.#lastAdmittedAt = Math.max(now, this.#lastAdmittedAt + this.#paceMs)
    if (this.#lastAdmittedAt === now) return
    await sleep(clock, this.#lastAdmittedAt - now, signal).catch(() => {
      // Aborted: the caller checks the signal.
    })
  }

  /**
   * The outage has ended.
   * @param failed applications in backoff after failures that the outage caused; they need not wait any longer
   */
  #recover(failed: readonly Application[]): void {
    for (const application of failed) application.retryNow()
    const released = new Set([...this.#held.keys(), ...failed])
    this.#held.clear()
    this.#probing = undefined
    this.#nearestExpiryAt = Number.POSITIVE_INFINITY
    this.releaseAll(released)
  }

  #probe(): void {
    while (this.#held.size > 0 && this.#probing === undefined) {
      const application = this.#takeBestProbe()
      if (this.#options.release(application)) this.#probing = application
    }
    this.#arm()
  }

  /**
   * Takes the best probe out of the held applications, and brings `#nearestExpiryAt` up to date. Every fourth probe is
   * for an application whose last failure was caller-side, since only a call shows whether that fault is over.
   */
  #takeBestProbe(): Application {
    let best: Application | undefined
    let bestCallerSide: Application | undefined
    this.#nearestExpiryAt = Number.POSITIVE_INFINITY
    for (const [application, isCallerSide] of this.#held) {
      if (isCallerSide) {
        if (bestCallerSide === undefined || isLikelier(application, bestCallerSide)) bestCallerSide = application
      } else if (best === undefined || this.#isBetterProbe(application, best)) {
        best = application
      }
      this.#nearestExpiryAt = Math.min(this.#nearestExpiryAt, this.#expiryOf(application))
    }
    const next = this.#probes % 4 === 3 ? (bestCallerSide ?? best) : (best ?? bestCallerSide)
    if (next === undefined) throw new Error('no application is held')
    this.#held.delete(next)
    return next
  }

  /**
   * The best probe is the application that is most likely to be answered, since one answer ends the outage for all:
   * first those that have not failed meanwhile, of these the one with the latest answer (the latest expiry), or else
   * the one that was held last. So applications that always fail, however many, do not keep the circuit open for the
   * others. Those that failed take turns.
   */
  #isBetterProbe(a: Application, b: Application): boolean {
    const [failedAt, otherFailedAt] = [this.#failedAt(a), this.#failedAt(b)]
    if (failedAt !== otherFailedAt) return failedAt < otherFailedAt
    return (a.token?.expiresAt ?? 0) >= (b.token?.expiresAt ?? 0)
  }

  /** When the application failed last since the gateway's last answer; -Infinity when it did not. */
  #failedAt(application: Application): number {
    return this.#state.failed.has(application) ? application.lastAttemptAt : Number.NEGATIVE_INFINITY
  }

  /** Infinity when the application has no valid token. */
  #expiryOf({ token }: Application): number {
    return token !== undefined && token.expiresAt > this.#options.clock.now()
      ? token.expiresAt
      : Number.POSITIVE_INFINITY
  }

  #arm(): void {
    const { clock } = this.#options
    if (!this.isOpen || this.#held.size === 0 || this.#probing !== undefined) {
      this.#timer?.timer.cancel()
      this.#timer = undefined
      return
    }
    const lastProbeAt = this.#lastProbeAt
    const lifeLeftMs = this.#nearestExpiryAt - lastProbeAt
    const dueAt = lastProbeAt + probeDelayMs(this.#probes, lifeLeftMs, this.#retryAfterUntil - lastProbeAt)
    if (this.#timer?.dueAt === dueAt) return
    this.#timer?.timer.cancel()
    const timer = clock.setTimer(dueAt - clock.now(), () => {
      this.#timer = undefined
      this.#probe()
    })
    this.#timer = { dueAt, timer }
  }
}

/** Of two with caller-side failures, one with a token goes first; then they take turns. */
function isLikelier(a: Application, b: Application): boolean {
  const hasToken = a.token !== undefined
  const isEven = hasToken === (b.token !== undefined)
  return isEven ? a.lastAttemptAt < b.lastAttemptAt : hasToken
}

/** Applications without a token first, then by expiry. */
function byUrgency(a: Application, b: Application): number {
  const [expiresAt, otherExpiresAt] = [a.token?.expiresAt ?? 0, b.token?.expiresAt ?? 0]
  return expiresAt - otherExpiresAt
}
