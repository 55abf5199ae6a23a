import { type Clock, sleep } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import { formatMicroTime } from '../lib/time.ts'
import { isAlreadyExists, isConflict, isNotFound } from './errors.ts'
import { awaitFreeLease, type Lease, type LeaseSpec, releaseLease, timeUntil } from './lease.ts'
import { type CallOptions, type KubernetesClient, leases, type ObjectRef } from './types.ts'

export interface LeaderElectorOptions {
  readonly client: Pick<KubernetesClient, 'get' | 'watch' | 'create' | 'update'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Unique to this process: a restarted one must not take itself for its predecessor. */
  readonly identity: string
  /** Namespace and name of the Lease. */
  readonly namespace: string
  readonly name: string
  /** Called once, when this process begins to lead. */
  readonly onStartedLeading: () => void
  /** Called once, when this process stops leading, before the lease is released. */
  readonly onStoppedLeading: () => void
  /** Other replicas take over a lease that has not changed for this long. As client-go: 15 s. */
  readonly leaseDurationMs?: number
  /** A leader that could not renew for this long gives up; less than `leaseDurationMs`. As client-go: 10 s. */
  readonly renewDeadlineMs?: number
  /** Between two attempts. As client-go: 2 s. */
  readonly retryPeriodMs?: number
}

type Round = 'held' | 'foreign' | 'failed'

/** As client-go: pauses of waiting replicas are up to this share longer, so that they do not all call at once. */
const jitterFactor = 1.2
/**
 * client-go's leader election on a Lease. A replica takes over a lease of another replica only after `leaseDurationMs`
 * without a change, by its own monotonic clock, or at once when the lease was released; `resourceVersion` decides between
 * two replicas that try. The leader counts from before it sent its renewal, a waiting replica from after it saw that
 * renewal, so the one has stopped before the other begins.
 *
 * A waiting replica watches the lease and tries again as soon as it is released or expires. Without the permission to
 * watch it polls.
 */
export class LeaderElector {
  readonly #options: LeaderElectorOptions
  readonly #ref: ObjectRef
  readonly #leaseDurationMs: number
  readonly #renewDeadlineMs: number
  readonly #retryPeriodMs: number
  #lease: Lease | undefined
  /** The spec last seen, and since when it has been unchanged (monotonic clock). */
  #observed:
    { readonly spec: string; readonly holder: string; readonly durationMs: number; readonly at: number } | undefined
  /** When the last successful renewal was sent (monotonic clock); undefined when not leading. */
  #renewedAt: number | undefined
  /** A write that makes the lease ours was sent; its answer may have been lost. */
  #mayHold = false
  #reported = ''
  #watchProblem = ''
  /** The resourceVersion of the lease when it was last read. */
  #readVersion = ''
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

  /** Whether no other replica can lead at this moment. Becomes false by the clock alone, whatever the state of `run`. */
  isLeading(): boolean {
    return this.#renewedAt !== undefined && this.#options.clock.now() - this.#renewedAt < this.#leaseDurationMs
  }

  /** Whether another replica was seen to hold the lease and may still lead. False before the first look at the lease. */
  isOtherLeading(): boolean {
    if (this.#observed === undefined) return false
    const { at, durationMs, holder } = this.#observed
    return holder !== '' && holder !== this.#options.identity && this.#options.clock.now() - at < durationMs
  }

  /** The last attempt to acquire or renew the lease, successful or not, monotonic clock. It stands still in a stuck elector. */
  get lastRoundAt(): number {
    return this.#lastRoundAt
  }

  /**
   * Waits for the lease, leads, and renews it, until the signal aborts or the lease is lost. The caller aborts after its
   * own work has drained, since the next leader begins at once. Rejects only if a callback throws.
   *
   * @returns `released` after an abort; `lost` when the lease was not renewed in time or another replica holds it
   */
  async run(signal: AbortSignal): Promise<'released' | 'lost'> {
    const { log, onStartedLeading, onStoppedLeading } = this.#options
    log.info({ lease: this.#ref }, 'attempting to acquire the lease')
    const isAcquired = await this.#acquire(signal)
    if (isAcquired && !signal.aborted) {
      log.info({ lease: this.#ref }, 'acquired the lease, leading')
      onStartedLeading()
      const outcome = await this.#renew(signal)
      this.#renewedAt = undefined
      onStoppedLeading()
      if (outcome === 'lost') {
        log.error({ lease: this.#ref, detail: this.#reported }, 'lost the lease')
        return 'lost'
      }
    }
    // Before the release is sent: a replica that sees it leads at once.
    this.#renewedAt = undefined
    if (this.#mayHold) await releaseLease({ ...this.#options, ref: this.#ref })
    return 'released'
  }

  /** Resolves to false if the signal aborted first. */
  async #acquire(signal: AbortSignal): Promise<boolean> {
    const { clock, random } = this.#options
    while (!signal.aborted) {
      const round = await this.#round(clock.now() + this.#renewDeadlineMs, signal)
      if (round === 'held' && this.#leftMs() > 0) return true
      // Held, but the answer came too late for leading: the next round renews.
      this.#renewedAt = undefined
      if (round === 'foreign' && (await this.#awaitFree(signal))) continue
      await this.#pause(this.#retryPeriodMs * (1 + jitterFactor * random()), signal)
    }
    return false
  }

  /** @returns true once the lease of another replica may be free; false when it cannot be watched */
  async #awaitFree(signal: AbortSignal): Promise<boolean> {
    const { client, clock, log } = this.#options
    this.#lastRoundAt = clock.now()
    const expiresAt = (): number => (this.#observed === undefined ? 0 : this.#observed.at + this.#observed.durationMs)
    const onChange = (lease: Lease): boolean => {
      this.#lastRoundAt = clock.now()
      this.#watchProblem = ''
      return this.#isHeldByOther(lease)
    }
    try {
      const lease = { client, clock, ref: this.#ref, resourceVersion: this.#readVersion, expiresAt, onChange }
      const isFree = await awaitFreeLease(lease, signal)
      if (isFree) log.debug({ lease: this.#ref }, 'the watched lease was released or has expired')
      return isFree
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error)
      if (detail !== this.#watchProblem) log.warn({ lease: this.#ref, detail }, 'failed to watch the lease, polling')
      this.#watchProblem = detail
      return false
    }
  }

  async #renew(signal: AbortSignal): Promise<'aborted' | 'lost'> {
    while (await this.#pause(Math.min(this.#retryPeriodMs, this.#leftMs()), signal)) {
      const round = await this.#round(this.#options.clock.now() + this.#leftMs(), signal)
      if (round === 'foreign' || (this.#leftMs() <= 0 && !signal.aborted)) return 'lost'
    }
    return 'aborted'
  }

  /** The time for which the leader may go on without a renewal. */
  #leftMs(): number {
    if (this.#renewedAt === undefined) return 0
    return this.#renewedAt + this.#renewDeadlineMs - this.#options.clock.now()
  }

  /** Tries once to acquire or renew. */
  async #round(deadlineAt: number, signal: AbortSignal): Promise<Round> {
    const call = (): CallOptions => ({ signal, timeoutMs: timeUntil(deadlineAt, this.#options.clock, this.#ref) })
    try {
      return (await this.#renewOnce(call)) ?? (await this.#acquireOnce(call))
    } catch (error) {
      if (signal.aborted) return 'failed'
      // Another replica was quicker: the next round sees it.
      if (isConflict(error) || isAlreadyExists(error)) return 'failed'
      this.#report('warn', error instanceof Error ? error.message : String(error))
      return 'failed'
    }
  }

  /** @returns undefined when this process does not hold the lease, or another process wrote or deleted it */
  async #renewOnce(call: () => CallOptions): Promise<'held' | undefined> {
    if (this.#renewedAt === undefined || this.#lease === undefined) return undefined
    try {
      return await this.#write(this.#lease, call())
    } catch (error) {
      // After no answer the next round tries again.
      if (!isConflict(error) && !isNotFound(error)) throw error
      return undefined
    }
  }

  async #acquireOnce(call: () => CallOptions): Promise<Round> {
    let lease: Lease
    try {
      lease = await this.#options.client.get<Lease>(leases, this.#ref, call())
    } catch (error) {
      if (!isNotFound(error)) throw error
      return await this.#write(undefined, call())
    }
    this.#readVersion = lease.metadata.resourceVersion ?? ''
    if (this.#isHeldByOther(lease)) {
      this.#renewedAt = undefined
      this.#report('info', `held by ${lease.spec?.holderIdentity ?? ''}`)
      return 'foreign'
    }
    return await this.#write(lease, call())
  }

  /** Updates `lease` to be held by this process, or creates it. */
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

  /** Whether another replica holds the lease and may lead, by the changes that this process saw. */
  #isHeldByOther({ spec = {} }: Lease): boolean {
    const { clock, identity } = this.#options
    const seen = JSON.stringify(spec)
    const { holderIdentity: holder = '', leaseDurationSeconds } = spec
    const durationMs = leaseDurationSeconds === undefined ? this.#leaseDurationMs : leaseDurationSeconds * 1000
    // From after the read, since the holder counts from before its write.
    if (this.#observed?.spec !== seen) this.#observed = { spec: seen, holder, durationMs, at: clock.now() }
    if (holder === '' || holder === identity) return false
    // A leader that finds another holder has lost the lease, expired or not.
    return this.#renewedAt !== undefined || this.isOtherLeading()
  }

  /** Logs one line for each kind of failure, not for each attempt. */
  #report(level: 'info' | 'warn', detail: string): void {
    if (detail === this.#reported) return
    this.#reported = detail
    this.#options.log[level]({ lease: this.#ref, detail }, 'lease not acquired or renewed, retrying')
  }

  /** Resolves to false if the signal aborted. */
  async #pause(delayMs: number, signal: AbortSignal): Promise<boolean> {
    this.#lastRoundAt = this.#options.clock.now()
    try {
      await sleep(this.#options.clock, delayMs, signal)
    } catch {
      // The signal aborted, as the result says.
    }
    return !signal.aborted
  }
}
