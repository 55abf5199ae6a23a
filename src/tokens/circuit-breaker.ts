import { type Clock, sleep, type Timer } from '../lib/clock.ts'
import type { Application } from './application.ts'
import { Circuit } from './circuit.ts'
import { maxPatienceMs, probeDelayMs, recoveryPaceMs } from './schedule.ts'
import type { AttemptReport } from './renewer.ts'
import type { Failure } from '../enos/token-client.ts'

export interface CircuitBreakerOptions {
  readonly clock: Clock
  /**
   * Has an application make its attempt, as soon as there is room. Called in the order of urgency.
   * @returns false: nothing is due for it any more
   */
  readonly release: (application: Application) => boolean
}

/**
 * Stands before a gateway's attempts, so that ten thousand applications and a dead gateway make no storm.
 *
 * - While the circuit is open, who is due is held here and costs nothing. One is let out now and then to probe
 *   (`probeDelayMs`): at most one attempt a second, or four where less than 16 s of life are left to somebody; every 5 s
 *   in the long run.
 * - When it closes, all that are held are let out, the nearest deadline first, at a steady pace (`recoveryPaceMs`): at
 *   most 100 attempts a second, up to 1,000 where deadlines demand it. What becomes due meanwhile keeps the same pace.
 * - Otherwise everybody passes.
 *
 * Invariant: the timer is set exactly while the circuit is open, somebody is held, and no probe is on its way.
 */
export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions
  readonly #circuit = new Circuit<Application>()
  /** With whether it is at fault: its last failure was its own, and says nothing of the gateway. */
  readonly #held = new Map<Application, boolean>()
  /** Let out to probe, and not yet passed. Where all calls hang it waits until one has ended, and no other goes. */
  #probing: Application | undefined
  /** Let out when the circuit closed, and not yet passed. */
  readonly #returning = new Set<Application>()
  #paceMs = 0
  #lastTurnAt = Number.NEGATIVE_INFINITY
  /** Since the circuit opened. */
  #probes = 0
  #lastProbeAt = Number.NEGATIVE_INFINITY
  /** Until when the gateway asked to be left alone. */
  #patientUntil = Number.NEGATIVE_INFINITY
  /** When the first of the tokens runs out whose applications are held. */
  #nearestExpiryAt = Number.POSITIVE_INFINITY
  #timer: { readonly dueAt: number; readonly timer: Timer } | undefined

  constructor(options: CircuitBreakerOptions) {
    this.#options = options
  }

  get isOpen(): boolean {
    return this.#circuit.isOpen
  }

  /** Why attempts fail; undefined after one that was answered. */
  get failure(): Failure | undefined {
    return this.#circuit.failure
  }

  /** Who is let out to probe, and on its way through the queue. */
  get probing(): Application | undefined {
    return this.#probing
  }

  /** When the next is let out to probe, monotonic clock; undefined: nobody is held, or one is out. Long past: its timer was lost. */
  get nextProbeAt(): number | undefined {
    return this.#timer?.dueAt
  }

  isHolding(application: Application): boolean {
    return this.#held.has(application)
  }

  /**
   * @param isCallerSide whoever tries for it failed last for a reason of its own, which says nothing of the gateway
   * @returns whether to go on, and `report` what came of it; false: it is held, and will be released
   */
  async pass(application: Application, isCallerSide: boolean, signal: AbortSignal): Promise<boolean> {
    await this.#turn(signal)
    this.#returning.delete(application)
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

  /** Nothing is due for it any more. */
  withdraw(application: Application): void {
    this.#held.delete(application)
    this.#returning.delete(application)
    if (this.#probing === application) this.#probing = undefined
    this.#arm()
  }

  forget(application: Application): void {
    this.withdraw(application)
    this.#circuit.forget(application)
  }

  /** @param told what an attempt tells of the gateway */
  report(application: Application, told: AttemptReport['gateway'], applicationCount: number): void {
    if (told === 'answers') {
      const failed = [...this.#circuit.failed]
      this.#patientUntil = Number.NEGATIVE_INFINITY
      if (this.#circuit.reportAnswer()) this.#letOut(failed.filter((other) => other !== application))
    } else if (told !== 'nothing') {
      const now = this.#options.clock.now()
      this.#patientUntil = Math.max(this.#patientUntil, now + Math.min(told.retryAfterMs ?? 0, maxPatienceMs))
      if (this.#circuit.reportFailure(application, told, applicationCount)) {
        this.#probes = 0
        this.#lastProbeAt = now
        this.#returning.clear()
      }
    }
    this.#arm()
  }

  /** Has them make the attempts that are due: by urgency, and at a pace that no gateway minds. */
  releaseAll(applications: Iterable<Application>): void {
    const now = this.#options.clock.now()
    const waiting = [...applications].sort(byUrgency)
    this.#paceMs = recoveryPaceMs(waiting.map(({ token }) => (token === undefined ? 0 : token.expiresAt - now)))
    for (const application of waiting) {
      this.#returning.add(application)
      if (!this.#options.release(application)) this.#returning.delete(application)
    }
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

  /** Waits for a turn, while those that an outage held up are coming back. */
  async #turn(signal: AbortSignal): Promise<void> {
    if (this.isOpen || this.#returning.size === 0) return
    const { clock } = this.#options
    const now = clock.now()
    this.#lastTurnAt = Math.max(now, this.#lastTurnAt + this.#paceMs)
    if (this.#lastTurnAt === now) return
    await sleep(clock, this.#lastTurnAt - now, signal).catch(() => {
      // Called off: whoever waits looks at the signal.
    })
  }

  /**
   * The outage is over.
   * @param failed who waits out a failure of its own, which the outage caused: there is nothing to wait for any more
   */
  #letOut(failed: readonly Application[]): void {
    for (const application of failed) application.retryNow()
    const waiting = new Set([...this.#held.keys(), ...failed])
    this.#held.clear()
    this.#probing = undefined
    this.#nearestExpiryAt = Number.POSITIVE_INFINITY
    this.releaseAll(waiting)
  }

  #probe(): void {
    while (this.#held.size > 0 && this.#probing === undefined) {
      const application = this.#nextProbe()
      this.#held.delete(application)
      if (this.#options.release(application)) this.#probing = application
    }
    this.#arm()
  }

  /**
   * The best of those that are held. Brings `#nearestExpiryAt` up to date on the way. Those at fault, of whom nobody
   * knows whether they still would fail, have every fourth turn.
   */
  #nextProbe(): Application {
    let best: Application | undefined
    let bestAtFault: Application | undefined
    this.#nearestExpiryAt = Number.POSITIVE_INFINITY
    for (const [application, isCallerSide] of this.#held) {
      if (isCallerSide) {
        if (bestAtFault === undefined || isLikelier(application, bestAtFault)) bestAtFault = application
      } else if (best === undefined || this.#isBetterProbe(application, best)) best = application
      this.#nearestExpiryAt = Math.min(this.#nearestExpiryAt, this.#expiryOf(application))
    }
    const next = this.#probes % 4 === 3 ? (bestAtFault ?? best) : (best ?? bestAtFault)
    if (next === undefined) throw new Error('nobody is held')
    return next
  }

  /**
   * A probe is for who is most likely to be answered, since that is the end for all: who has not failed meanwhile, and
   * of those who was answered last, as its token tells, or else came last. So no number of applications that always
   * fail keeps the circuit open for the others. Those that failed take turns.
   */
  #isBetterProbe(a: Application, b: Application): boolean {
    const [triedAt, otherTriedAt] = [this.#triedAt(a), this.#triedAt(b)]
    if (triedAt !== otherTriedAt) return triedAt < otherTriedAt
    return (a.token?.expiresAt ?? 0) >= (b.token?.expiresAt ?? 0)
  }

  /** When it failed last; it has not since the gateway answered: long ago. */
  #triedAt(application: Application): number {
    return this.#circuit.failed.has(application) ? application.lastAttemptAt : Number.NEGATIVE_INFINITY
  }

  /** Infinity: it has no token that could run out. */
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
    const sinceProbe = this.#lastProbeAt
    const dueAt =
      sinceProbe + probeDelayMs(this.#probes, this.#nearestExpiryAt - sinceProbe, this.#patientUntil - sinceProbe)
    if (this.#timer?.dueAt === dueAt) return
    this.#timer?.timer.cancel()
    const timer = clock.setTimer(dueAt - clock.now(), () => {
      this.#timer = undefined
      this.#probe()
    })
    this.#timer = { dueAt, timer }
  }
}

/** Of two that are at fault: who was answered once goes before who never was; then they take turns. */
function isLikelier(a: Application, b: Application): boolean {
  const [hasToken, otherHasToken] = [a.token !== undefined, b.token !== undefined]
  return hasToken === otherHasToken ? a.lastAttemptAt < b.lastAttemptAt : hasToken
}

/** Those without a token first, then by expiry. */
function byUrgency(a: Application, b: Application): number {
  const [expiresAt, otherExpiresAt] = [a.token?.expiresAt ?? 0, b.token?.expiresAt ?? 0]
  return expiresAt - otherExpiresAt
}
