import type { ObjectKey } from '../kubernetes/types.ts'
import { type Clock, sleep } from '../lib/clock.ts'
import { type Caches, holdersOf } from '../observe/caches.ts'
import type { Applications } from '../tokens/applications.ts'

export interface RefreshBarrierOptions {
  readonly caches: Pick<Caches, 'credentials'>
  readonly applications: Pick<Applications, 'isMember'>
  readonly clock: Clock
  /** Enqueues these before others. */
  readonly enqueue: (keys: Iterable<ObjectKey>) => void
}

/** How long a refresh waits for all holders of the old token to join, at most. */
const maxWaitMs = 5000

/**
 * Holds a refresh back until all credentials with the old token have joined the application, so that the new token
 * reaches all of them at once. After a restart no credential has joined yet.
 */
export class RefreshBarrier {
  readonly #options: RefreshBarrierOptions
  /** Bound: the credentials; one that cannot join stays until it is gone. */
  readonly #summoned = new Set<ObjectKey>()
  /** Those in the queue: the next reconcile of each removes its entry. Each refresh that waits adds one. */
  readonly #waiters = new Map<ObjectKey, (() => void)[]>()

  constructor(options: RefreshBarrierOptions) {
    this.#options = options
  }

  /**
   * Has all credentials whose targets hold this token join their application, if they can: a gateway may revoke the old
   * token when it is refreshed.
   */
  async summon(gatewayUrl: string, fingerprint: string, signal: AbortSignal): Promise<void> {
    const { applications, caches, clock, enqueue } = this.#options
    const holders = holdersOf(caches, gatewayUrl, fingerprint)
    const absent = holders.filter((key) => !applications.isMember(key) && !this.#summoned.has(key))
    if (absent.length === 0) return
    const done = absent.map(
      (key) =>
        new Promise<void>((resolve) => {
          this.#waiters.set(key, [...(this.#waiters.get(key) ?? []), resolve])
          this.#summoned.add(key)
        }),
    )
    enqueue(absent)
    const limit = new AbortController()
    const stop = AbortSignal.any([signal, limit.signal])
    const timeout = sleep(clock, this.#waitMs(absent), stop).catch(() => {
      // All have joined, or the attempt was aborted.
    })
    await Promise.race([Promise.all(done), timeout])
    limit.abort()
  }

  get sizes(): { readonly summoned: number; readonly waiters: number } {
    return { summoned: this.#summoned.size, waiters: this.#waiters.size }
  }

  /** Whether a credential has to join its application though nothing of it has changed. */
  isSummoned(key: ObjectKey): boolean {
    return this.#summoned.has(key)
  }

  /** Whether a refresh waits for the next reconcile of the credential. */
  isAwaited(key: ObjectKey): boolean {
    return this.#waiters.has(key)
  }

  /** The credential has joined, or is gone. */
  release(key: ObjectKey): void {
    this.#summoned.delete(key)
  }

  /**
   * Marks the start of a reconcile.
   *
   * @returns to be called at its end; resolves the barriers that waited for it when it started
   */
  beginReconcile(key: ObjectKey): () => void {
    const waiters = this.#waiters.get(key) ?? []
    this.#waiters.delete(key)
    return () => {
      for (const resolve of waiters) resolve()
    }
  }

  /** The refresh itself needs a share of the token's remaining life. */
  #waitMs([holder]: readonly ObjectKey[]): number {
    const { caches, clock } = this.#options
    const { expiresAt = '' } = (holder === undefined ? undefined : caches.credentials.get(holder))?.status ?? {}
    const lifeLeftMs = Date.parse(expiresAt) - clock.wall()
    return lifeLeftMs > 0 ? Math.min(maxWaitMs, lifeLeftMs / 3) : 0
  }
}
