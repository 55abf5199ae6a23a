import type { Clock, Timer } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { formatMicroTime } from '../lib/time.ts'
import { ApiError, isConflict } from './errors.ts'
import { type KubernetesClient, type KubernetesObject, leases, type ObjectRef } from './types.ts'

/** The lease as other replicas see it. Its times are for people: no replica decides by another's clock. */
export interface LeaseSpec {
  readonly holderIdentity?: string
  readonly leaseDurationSeconds?: number
  readonly acquireTime?: string
  readonly renewTime?: string
  readonly leaseTransitions?: number
}

export interface Lease extends KubernetesObject {
  readonly spec?: LeaseSpec
}

export interface LeaseWatchOptions {
  readonly client: Pick<KubernetesClient, 'watch'>
  readonly clock: Clock
  readonly ref: ObjectRef
  /** Of the lease when it was last read. */
  readonly resourceVersion: string
  /** When the lease expires by what was seen of it, monotonic clock. */
  readonly expiresAt: () => number
  /** Takes what the watch shows. @returns whether another replica still holds the lease */
  readonly onChange: (lease: Lease) => boolean
}

/** The API server ends the watch after this time. */
const timeoutSeconds = 300
/** Without a release the next leader only waits until the lease expires, so the stop waits no longer than this. */
const releaseDeadlineMs = 3000

/**
 * Watches the lease of another replica by its name.
 *
 * @returns true once it was released or deleted, or has expired; false when the watch or the signal ends first
 * @throws ApiError
 */
export async function awaitFreeLease(
  { client, clock, expiresAt, onChange, ref, resourceVersion }: LeaseWatchOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const ending = new AbortController()
  const end = (): void => {
    ending.abort()
  }
  let timer: Timer
  // Each renewal that the watch shows has moved the expiry.
  const endAtExpiry = (): void => {
    const leftMs = expiresAt() - clock.now()
    if (leftMs > 0) timer = clock.setTimer(leftMs, endAtExpiry)
    else end()
  }
  timer = clock.setTimer(expiresAt() - clock.now(), endAtExpiry)
  signal.addEventListener('abort', end)
  if (signal.aborted) end()
  try {
    const fieldSelector = `metadata.name=${ref.name}`
    const options = { fieldSelector, resourceVersion, timeoutSeconds, signal: ending.signal }
    for await (const { object, type } of client.watch<Lease>(leases, ref.namespace, options)) {
      if (type === 'DELETED' || (type !== 'BOOKMARK' && !onChange(object))) return true
    }
    return false
  } catch (error) {
    if (!ending.signal.aborted) throw error
    return !signal.aborted
  } finally {
    end()
    signal.removeEventListener('abort', end)
    timer.cancel()
  }
}

export interface ReleaseOptions {
  readonly client: Pick<KubernetesClient, 'get' | 'update'>
  readonly clock: Clock
  readonly log: Log
  readonly identity: string
  readonly ref: ObjectRef
}

/** Releases the lease, if `identity` holds it. Never rejects. */
export async function releaseLease({ client, clock, identity, log, ref }: ReleaseOptions): Promise<void> {
  const deadlineAt = clock.now() + releaseDeadlineMs
  try {
    // A pending renewal may take effect between the two calls.
    for (let attempt = 1; ; attempt++) {
      const lease = await client.get<Lease>(leases, ref, { timeoutMs: timeUntil(deadlineAt, clock, ref) })
      if (lease.spec?.holderIdentity !== identity) return
      const now = formatMicroTime(clock.wall() * 1000)
      const { leaseTransitions = 0 } = lease.spec
      const spec = { holderIdentity: '', leaseDurationSeconds: 1, acquireTime: now, renewTime: now, leaseTransitions }
      try {
        await client.update(leases, ref, { ...lease, spec }, { timeoutMs: timeUntil(deadlineAt, clock, ref) })
        log.info({ lease: ref }, 'released the lease')
        return
      } catch (error) {
        if (!isConflict(error) || attempt === 3) throw error
      }
    }
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error)
    log.warn({ lease: ref, detail }, 'failed to release the lease, it will expire')
  }
}

/** The time left for a call. @throws ApiError when there is none, so that no call is sent */
export function timeUntil(deadlineAt: number, clock: Clock, { name, namespace }: ObjectRef): number {
  const leftMs = deadlineAt - clock.now()
  if (leftMs <= 0) throw new ApiError(`leases ${namespace}/${name}`, { code: 0, reason: 'Timeout' })
  return leftMs
}
