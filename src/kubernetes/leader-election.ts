import { type Clock, sleep } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import { formatMicroTime } from '../lib/time.ts'
import type { Log } from '../lib/log.ts'
import { ApiError, isAlreadyExists, isConflict, isNotFound } from './errors.ts'
import { type CallOptions, type KubernetesClient, type KubernetesObject, leases, type ObjectRef } from './types.ts'

export interface LeaderElectorOptions {
  readonly client: Pick<KubernetesClient, 'get' | 'create' | 'update'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Names this process, and no other that ever was: a restarted one must not take itself for its predecessor. */
  readonly identity: string
  /** Where the Lease is, and its name. */
  readonly namespace: string
  readonly name: string
  /** Called once, when this process leads. */
  readonly onStartedLeading: () => void
  /** Called once when this process led and does so no more, before the lease is handed over. */
  readonly onStoppedLeading: () => void
  /** Others take a lease over when they saw no change of it for so long. As client-go: 15 s. */
  readonly leaseDurationMs?: number
  /** A leader that could not renew for so long gives up; less than `leaseDurationMs`. As client-go: 10 s. */
  readonly renewDeadlineMs?: number
  /** Between two attempts. As client-go: 2 s. */
  readonly retryPeriodMs?: number
}

/** The lease as others see it. Its times are for people: nobody decides by another's clock. */
interface LeaseSpec {
  readonly holderIdentity?: string
  readonly leaseDurationSeconds?: number
  readonly acquireTime?: string
  readonly renewTime?: string
  readonly leaseTransitions?: number
}

interface Lease extends KubernetesObject {
  readonly spec?: LeaseSpec
}

type Round = 'held' | 'foreign' | 'failed'

/** As client-go: the pauses of those who wait are up to this much longer, so that they do not ask all at once. */
const jitterFactor = 1.2
/** Releasing is a courtesy to the next leader, which else waits for the lease to run out. */
const releaseDeadlineMs = 3000

/**
 * client-go's leader election on a Lease. A lease of another is taken only after `leaseDurationMs` without a change as
 * seen on this process's own monotonic clock, or at once when it was released; `resourceVersion` decides between two that
 * try. Whoever leads counts its time from before its renewal was sent, whoever waits from after it was seen, so the one
 * has stopped before the other begins.
 */
export class LeaderElector {
  readonly #options: LeaderElectorOptions
  readonly #ref: ObjectRef
  readonly #leaseDurationMs: number
  readonly #renewDeadlineMs: number
  readonly #retryPeriodMs: number
  #lease: Lease | undefined
  /** What was last seen of a lease, and since when it is so (steady). */
  #observed: { readonly spec: string; readonly at: number } | undefined
  /** When the last successful renewal was sent (steady); undefined when not leading. */
  #renewedAt: number | undefined
  /** A write that would make the lease ours was sent; its answer may have been lost. */
  #mayHold = false
  #reported = ''
  #lastRoundAt: number

  constructor(options: LeaderElectorOptions) {
    this.#options = options
    this.#lastRoundAt = options.clock.now()
    this.#ref = { namespace: options.namespace, name: options.name }
    this.#leaseDurationMs = options.leaseDurationMs ?? 15_000
    this.#renewDeadlineMs = options.renewDeadlineMs ?? 10_000
    this.#retryPeriodMs = options.retryPeriodMs ?? 2000
    if (this.#renewDeadlineMs >= this.#leaseDurationMs) {
      throw new Error(
        `renewDeadlineMs ${this.#renewDeadlineMs} must be less than ${this.#leaseDurationMs}, the lease's`,
      )
    }
  }

  /** Whether nobody else can lead at this moment. Falls by the clock alone, whatever became of `run`. */
  isLeading(): boolean {
    return this.#renewedAt !== undefined && this.#options.clock.now() - this.#renewedAt < this.#leaseDurationMs
  }

  /** When the lease was last tried for or renewed, whatever came of it, monotonic clock. An elector that is stuck stops moving this on. */
  get lastRoundAt(): number {
    return this.#lastRoundAt
  }

  /**
   * Waits for the lease, leads, and renews it, until the signal aborts or the lease is lost. The caller aborts when its
   * own work has drained, for the next leader begins at once. Never rejects but by what the callbacks throw.
   *
   * @returns `released` after an abort, `lost` when the lease was not renewed in time or is another's
   */
  async run(signal: AbortSignal): Promise<'released' | 'lost'> {
    const { log, onStartedLeading, onStoppedLeading } = this.#options
    log.info({ lease: this.#ref }, 'waiting for the lease')
    const isAcquired = await this.#acquire(signal)
    if (isAcquired && !signal.aborted) {
      log.info({ lease: this.#ref }, 'leading')
      onStartedLeading()
      const outcome = await this.#renew(signal)
      this.#renewedAt = undefined
      onStoppedLeading()
      if (outcome === 'lost') {
        log.error({ lease: this.#ref, detail: this.#reported }, 'lost the lease')
        return 'lost'
      }
    }
    // Before the release is sent: whoever sees it leads.
    this.#renewedAt = undefined
    if (this.#mayHold) await this.#release()
    return 'released'
  }

  /** Resolves to false when the signal aborted first. */
  async #acquire(signal: AbortSignal): Promise<boolean> {
    const { clock, random } = this.#options
    while (!signal.aborted) {
      const round = await this.#round(clock.now() + this.#renewDeadlineMs, signal)
      if (round === 'held' && this.#leftMs() > 0) return true
      // Held, but the answer came too late to lead by it: the next round renews.
      this.#renewedAt = undefined
      await this.#pause(this.#retryPeriodMs * (1 + jitterFactor * random()), signal)
    }
    return false
  }

  async #renew(signal: AbortSignal): Promise<'aborted' | 'lost'> {
    while (await this.#pause(Math.min(this.#retryPeriodMs, this.#leftMs()), signal)) {
      const round = await this.#round(this.#options.clock.now() + this.#leftMs(), signal)
      if (round === 'foreign' || (this.#leftMs() <= 0 && !signal.aborted)) return 'lost'
    }
    return 'aborted'
  }

  /** How long the leader may go on without a renewal. */
  #leftMs(): number {
    if (this.#renewedAt === undefined) return 0
    return this.#renewedAt + this.#renewDeadlineMs - this.#options.clock.now()
  }

  /** Tries once to acquire or renew. */
  async #round(deadlineAt: number, signal: AbortSignal): Promise<Round> {
    const { client } = this.#options
    const call = (): CallOptions => ({ signal, timeoutMs: this.#timeUntil(deadlineAt) })
    try {
      if (this.#renewedAt !== undefined && this.#lease !== undefined) {
        try {
          return await this.#write(this.#lease, call())
        } catch (error) {
          // Refused: somebody wrote or deleted it. No answer: the next round tries again.
          if (!isConflict(error) && !isNotFound(error)) throw error
        }
      }
      let lease: Lease
      try {
        lease = await client.get<Lease>(leases, this.#ref, call())
      } catch (error) {
        if (!isNotFound(error)) throw error
        return await this.#write(undefined, call())
      }
      if (this.#isHeldByOther(lease)) {
        this.#renewedAt = undefined
        this.#report('info', `held by ${lease.spec?.holderIdentity ?? ''}`)
        return 'foreign'
      }
      return await this.#write(lease, call())
    } catch (error) {
      if (signal.aborted) return 'failed'
      // Somebody was quicker: no failure, the next round sees who.
      if (isConflict(error) || isAlreadyExists(error)) return 'failed'
      this.#report('warn', error instanceof Error ? error.message : String(error))
      return 'failed'
    }
  }

  /** Makes the lease ours as it is in `lease`, or creates it. */
  async #write(lease: Lease | undefined, options: CallOptions): Promise<'held'> {
    const { client, clock, identity, name, namespace } = this.#options
    const sentAt = clock.now()
    const renewTime = formatMicroTime(clock.wall() * 1000)
    const old = lease?.spec
    const isOurs = old?.holderIdentity === identity
    const spec: LeaseSpec = {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(this.#leaseDurationMs / 1000),
      acquireTime: isOurs ? (old.acquireTime ?? renewTime) : renewTime,
      renewTime,
      leaseTransitions: old === undefined ? 0 : (old.leaseTransitions ?? 0) + (isOurs ? 0 : 1),
    }
    this.#mayHold = true
    this.#lease =
      lease === undefined
        ? await client.create<Lease>(
            leases,
            namespace,
            { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace }, spec },
            options,
          )
        : await client.update<Lease>(leases, this.#ref, { ...lease, spec }, options)
    this.#renewedAt = sentAt
    this.#reported = ''
    return 'held'
  }

  /** Whether another holds the lease and may lead, by what this process saw of it. */
  #isHeldByOther({ spec = {} }: Lease): boolean {
    const { clock, identity } = this.#options
    // From after it was read: its holder counts from before it wrote.
    const now = clock.now()
    const seen = JSON.stringify(spec)
    if (this.#observed?.spec !== seen) this.#observed = { spec: seen, at: now }
    const { holderIdentity = '', leaseDurationSeconds } = spec
    if (holderIdentity === '' || holderIdentity === identity) return false
    // A leader that finds another's lease has lost it, run out or not.
    if (this.#renewedAt !== undefined) return true
    const durationMs = leaseDurationSeconds === undefined ? this.#leaseDurationMs : leaseDurationSeconds * 1000
    return now - this.#observed.at < durationMs
  }

  /** Hands the lease over, if it is ours. */
  async #release(): Promise<void> {
    const { client, clock, identity, log } = this.#options
    const deadlineAt = clock.now() + releaseDeadlineMs
    try {
      // A renewal that was under way may be carried out between the two calls.
      for (let attempt = 1; ; attempt++) {
        const lease = await client.get<Lease>(leases, this.#ref, { timeoutMs: this.#timeUntil(deadlineAt) })
        if (lease.spec?.holderIdentity !== identity) return
        const now = formatMicroTime(clock.wall() * 1000)
        const { leaseTransitions = 0 } = lease.spec
        const spec = { holderIdentity: '', leaseDurationSeconds: 1, acquireTime: now, renewTime: now, leaseTransitions }
        try {
          await client.update(leases, this.#ref, { ...lease, spec }, { timeoutMs: this.#timeUntil(deadlineAt) })
          log.info({ lease: this.#ref }, 'released the lease')
          return
        } catch (error) {
          if (!isConflict(error) || attempt === 3) throw error
        }
      }
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error)
      log.warn({ lease: this.#ref, detail }, 'could not release the lease; it runs out by itself')
    }
  }

  /** The time that a call may take; no call is sent when there is none. */
  #timeUntil(deadlineAt: number): number {
    const leftMs = deadlineAt - this.#options.clock.now()
    if (leftMs <= 0)
      throw new ApiError(`leases ${this.#ref.namespace}/${this.#ref.name}`, { code: 0, reason: 'Timeout' })
    return leftMs
  }

  /** One line for each kind of failure, not for each attempt. */
  #report(level: 'info' | 'warn', detail: string): void {
    if (detail === this.#reported) return
    this.#reported = detail
    this.#options.log[level]({ lease: this.#ref, detail }, 'the lease was not acquired or renewed; trying again')
  }

  /** Resolves to false when the signal aborted. */
  async #pause(delayMs: number, signal: AbortSignal): Promise<boolean> {
    this.#lastRoundAt = this.#options.clock.now()
    try {
      await sleep(this.#options.clock, delayMs, signal)
    } catch {
      // Aborted: that is the answer.
    }
    return !signal.aborted
  }
}
