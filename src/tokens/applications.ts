import type { Operation } from '../enos/operation.ts'
import type { ObjectKey } from '../kubernetes/types.ts'
import { WorkQueue, type WorkQueueObserver } from '../kubernetes/work-queue.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import type { Sensitive } from '../lib/sensitive.ts'
import { Application } from './application.ts'
import { type ApplicationView, type Attempts, attemptsOf, memberOf, viewOf } from './application-view.ts'
import { CircuitBreaker } from './circuit-breaker.ts'
import type { FoundToken, Membership } from './membership.ts'
import { RefreshSupport } from './refresh-support.ts'
import { jitterShareOf, type RenewalMethod } from './renewal-rule.ts'
import { maxCalls, Renewer, type RenewerOptions } from './renewer.ts'
import { msPerPriority, priorityOf } from './schedule.ts'

export interface ApplicationsOptions extends Pick<RenewerOptions, 'client' | 'summonHolders'> {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Calls in flight per gateway. */
  readonly gatewayMaxConcurrency: number
  /** Members whose view changed. `isUrgent`: there is a token to write. */
  readonly onChange: (keys: Iterable<ObjectKey>, isUrgent: boolean) => void
  readonly onAttempt: (keys: Iterable<ObjectKey>, operation: Operation, result: 'success' | 'error') => void
  readonly queueObserver?: WorkQueueObserver
}

interface Gateway {
  readonly url: string
  readonly queue: WorkQueue<string>
  readonly refreshSupport: RefreshSupport<Application>
  readonly breaker: CircuitBreaker
  readonly applications: Map<string, Application>
}

/** An attempt may take the timeouts of its calls, and this for the breaker's pace and `summonHolders`. */
const attemptSlackMs = 4 * 60_000
/** A timer that is later than this was lost: timers fire within milliseconds. */
const lostTimerMs = 60_000

/**
 * All applications and their attempts. Each gateway has its own queue, with a maximum of concurrent attempts, and its own
 * circuit breaker, so that a gateway which hangs or is down delays no other. Applications without a valid token come
 * first, then those with the nearest expiry.
 *
 * All maps are bounded by the members: the last one that leaves takes its application with it, and the last application
 * its gateway.
 */
export class Applications {
  readonly #options: ApplicationsOptions
  readonly #renewer: Renewer
  readonly #gateways = new Map<string, Gateway>()
  readonly #byMember = new Map<ObjectKey, Application>()
  readonly #byId = new Map<string, Application>()
  #sequence = 0
  #isShutDown = false

  constructor(options: ApplicationsOptions) {
    this.#options = options
    this.#renewer = new Renewer({
      ...options,
      onToken: (application) => {
        options.onChange(application.members.keys(), true)
      },
    })
  }

  /** Makes a resource a member, or updates its membership, and schedules the next attempt. */
  join(key: ObjectKey, membership: Membership, found?: FoundToken): void {
    const gateway = this.#gatewayOf(membership.gatewayUrl)
    const application = this.#applicationOf(gateway, membership.appKey)
    const former = this.#byMember.get(key)
    if (former !== undefined && former !== application) this.leave(key)
    this.#byMember.set(key, application)

    const renewalAt = (): number | undefined => {
      const { token } = application
      return token === undefined ? undefined : application.renewalAt(token, this.#methodOf(gateway, application))
    }
    const renewalBefore = renewalAt()
    const member = application.join(key, membership)
    const { identity } = member
    // The other members may have waited for a token since the gateway failed.
    if (found !== undefined && application.takeOver(member, found) && identity.members.size > 1) {
      this.#options.onChange(identity.members.keys(), true)
    }
    // A member with a larger window makes the renewal of all members earlier, which their status tells.
    if (renewalBefore !== undefined && application.members.size > 1 && renewalAt() !== renewalBefore) {
      this.#options.onChange(application.members.keys(), false)
    }
    this.#schedule(gateway, application)
  }

  leave(key: ObjectKey): void {
    const application = this.#byMember.get(key)
    if (application === undefined) return
    this.#byMember.delete(key)
    application.leave(key)
    if (application.members.size > 0) return
    const gateway = this.#gateways.get(application.gatewayUrl)
    gateway?.breaker.remove(application)
    gateway?.refreshSupport.remove(application)
    this.#byId.delete(application.id)
    gateway?.queue.remove(application.id)
    gateway?.applications.delete(application.appKey.reveal())
    if (gateway?.applications.size === 0) {
      this.#gateways.delete(gateway.url)
      void gateway.queue.shutDown({ drainMs: 0 })
    }
  }

  view(key: ObjectKey): ApplicationView | undefined {
    const [application, gateway] = this.#find(key)
    if (application === undefined || gateway === undefined) return undefined
    const method = this.#methodOf(gateway, application)
    return viewOf(application, key, method, gateway.refreshSupport.isMissing)
  }

  /** The attempts of a member's application. */
  attempts(key: ObjectKey): Attempts | undefined {
    const [application, gateway] = this.#find(key)
    if (application === undefined || gateway === undefined) return undefined
    return attemptsOf(application, memberOf(application, key), gateway.refreshSupport.isMissing)
  }

  isMember(key: ObjectKey): boolean {
    return this.#byMember.has(key)
  }

  /**
   * Whether the next attempt of a member's application is queued, or held by a circuit breaker whose timer runs. True for
   * a resource that is no member.
   */
  isQueued(key: ObjectKey): boolean {
    const [application, gateway] = this.#find(key)
    if (application === undefined || gateway === undefined) return true
    const { breaker, queue } = gateway
    if (!breaker.isHolding(application)) return queue.has(application.id)
    if (breaker.probing !== undefined) return queue.has(breaker.probing.id)
    return breaker.nextProbeAt !== undefined && this.#options.clock.now() - breaker.nextProbeAt < lostTimerMs
  }

  /** The gateways in use; several may have one host. */
  gateways(): { host: string; isCircuitOpen: boolean }[] {
    return [...this.#gateways.values()].map(({ breaker, url }) => {
      return { host: new URL(url).host, isCircuitOpen: breaker.isOpen }
    })
  }

  queues(): WorkQueue<string>[] {
    return [...this.#gateways.values()].map((gateway) => gateway.queue)
  }

  /**
   * The wall clock jumped ahead of the monotonic clock (`ClockJumpWatch`): that much time may have passed, and every
   * deadline comes nearer by it. Tokens that are due thereby are renewed as always, with get first, the nearest expiry
   * first, at the pace of the circuit breaker.
   */
  onClockJump(jumpMs: number): void {
    const { clock, log, onChange } = this.#options
    const now = clock.now()
    const counts = { applications: this.#byId.size, due: 0 }
    for (const gateway of this.#gateways.values()) {
      gateway.breaker.onClockJump(jumpMs)
      const due: Application[] = []
      for (const application of gateway.applications.values()) {
        application.onClockJump(jumpMs)
        const next = application.nextDue(this.#methodOf(gateway, application))
        if (next !== undefined && next.at <= now) due.push(application)
        else this.#schedule(gateway, application)
      }
      gateway.breaker.releaseAll(due)
      counts.due += due.length
      for (const { members } of due) onChange(members.keys(), false)
    }
    log.warn({ jumpMs, ...counts }, 'wall clock jumped ahead, deadlines moved')
  }

  /** Stops all attempts; running ones may take up to `drainMs`. */
  async shutDown(drainMs: number): Promise<void> {
    this.#isShutDown = true
    for (const { breaker } of this.#gateways.values()) breaker.shutDown()
    await Promise.all(this.queues().map((queue) => queue.shutDown({ drainMs })))
  }

  #gatewayOf(url: string): Gateway {
    const known = this.#gateways.get(url)
    if (known !== undefined) return known
    const { clock, random, log, queueObserver, gatewayMaxConcurrency } = this.#options
    const applications = new Map<string, Application>()
    const queue = new WorkQueue<string>({
      name: 'applications',
      clock,
      random,
      agingMs: msPerPriority,
      ...(queueObserver === undefined ? {} : { observer: queueObserver }),
      handlingLimitMs: (id) => attemptSlackMs + maxCalls * (this.#byId.get(id)?.maxTimeoutMs() ?? 0),
      onError: (application, error) => {
        log.error({ application, err: error }, 'attempt ended unexpectedly')
      },
    })
    const refreshSupport = new RefreshSupport<Application>()
    const breaker = new CircuitBreaker({
      clock,
      release: (application) => this.#schedule(gateway, application),
    })
    const gateway: Gateway = { url, queue, applications, refreshSupport, breaker }
    this.#gateways.set(url, gateway)
    if (!this.#isShutDown) queue.run(gatewayMaxConcurrency, (id, signal) => this.#work(gateway, id, signal))
    return gateway
  }

  #applicationOf(gateway: Gateway, appKey: Sensitive): Application {
    const known = gateway.applications.get(appKey.reveal())
    if (known !== undefined) return known
    const id = `application-${++this.#sequence}`
    const application = new Application(id, gateway.url, appKey, jitterShareOf(gateway.url, appKey))
    gateway.applications.set(appKey.reveal(), application)
    this.#byId.set(id, application)
    return application
  }

  async #work(gateway: Gateway, id: string, signal: AbortSignal): Promise<void> {
    const application = this.#byId.get(id)
    if (application === undefined) return
    const due = application.nextDue(this.#methodOf(gateway, application))
    if (due !== undefined && due.at <= this.#options.clock.now()) {
      const isCallerSide = due.identity.failure?.isCallerSide === true
      if (!(await gateway.breaker.admit(application, isCallerSide, signal))) this.#reportHeld(gateway, application)
      else if (!signal.aborted) await this.#attempt(gateway, application, signal)
    } else {
      gateway.breaker.withdraw(application)
    }
    if (!signal.aborted) this.#schedule(gateway, application)
  }

  async #attempt(gateway: Gateway, application: Application, signal: AbortSignal): Promise<void> {
    const { clock, onAttempt, onChange } = this.#options
    // Computed again: the state may have changed while the application waited for the breaker's pace.
    const due = application.nextDue(this.#methodOf(gateway, application))
    if (due === undefined || due.at > clock.now()) return
    const { breaker, refreshSupport } = gateway
    const wasRefreshMissing = refreshSupport.isMissing
    const report = await this.#renewer.attempt(application, due.identity, refreshSupport, signal)
    if (application.members.size > 0) breaker.report(application, report.gatewayHealth, gateway.applications.size)
    if (refreshSupport.isMissing !== wasRefreshMissing) this.#rescheduleAll(gateway)
    // An attempt may receive a new token by get and then fail to refresh it.
    if (report.hasNewToken) {
      onAttempt(application.provenMembers(), application.lastRenewal?.operation ?? 'get', 'success')
    }
    if (report.failure !== undefined) onAttempt(due.identity.members.keys(), report.operation, 'error')
    onChange(due.identity.members.keys(), false)
  }

  /** The gateway turned out to have refresh, or to have none, so that its tokens are due at another time. */
  #rescheduleAll({ applications, breaker }: Gateway): void {
    breaker.releaseAll(applications.values())
    for (const { members } of applications.values()) this.#options.onChange(members.keys(), false)
  }

  /** An attempt that is held back by an outage is a failure for its members, but is not counted as one. */
  #reportHeld(gateway: Gateway, application: Application): void {
    const failure = gateway.breaker.lastFailure
    const due = application.nextDue(this.#methodOf(gateway, application))
    if (due === undefined || due.identity.failure !== undefined || failure === undefined) return
    const { message, reason } = failure
    due.identity.failure = {
      class: 'retry',
      reason,
      message: `waiting for the gateway, which fails for all: ${message}`,
    }
    this.#options.onChange(due.identity.members.keys(), false)
  }

  /** @returns whether it is due now */
  #schedule(gateway: Gateway, application: Application): boolean {
    if (gateway.breaker.isHolding(application)) return false
    const due = application.nextDue(this.#methodOf(gateway, application))
    if (due === undefined) return false
    const { token } = application
    const now = this.#options.clock.now()
    const dueAt = Math.max(now, due.at)
    const lifeLeftMs = token !== undefined && application.isProven(due.identity) ? token.expiresAt - dueAt : 0
    const priority = priorityOf(lifeLeftMs)
    if (dueAt === now) gateway.queue.add(application.id, { priority })
    else gateway.queue.addAfter(application.id, dueAt - now, { priority })
    return dueAt === now
  }

  /** The application of a member, and its gateway. */
  #find(key: ObjectKey): readonly [Application | undefined, Gateway | undefined] {
    const application = this.#byMember.get(key)
    return [application, application === undefined ? undefined : this.#gateways.get(application.gatewayUrl)]
  }

  #methodOf(gateway: Gateway, application: Application): RenewalMethod {
    return application.method(gateway.refreshSupport.isFor(application))
  }
}
