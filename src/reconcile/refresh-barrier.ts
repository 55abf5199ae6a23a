import type { Applications } from '../tokens/applications.ts'
import type { ObjectKey } from '../kubernetes/types.ts'
import { type Clock, sleep } from '../lib/clock.ts'
import { byToken, type Caches } from '../observe/caches.ts'

export interface RefreshBarrierOptions {
  readonly caches: Pick<Caches, 'credentials'>
  readonly applications: Pick<Applications, 'isMember'>
  readonly clock: Clock
  /** Has these looked at, before others. */
  readonly enqueue: (keys: Iterable<ObjectKey>) => void
}

/** How long a refresh waits for all holders of the old token to be ready to write the new one. */
const maxWaitMs = 5000

/** Who holds a token that is about to be refreshed, and has not joined its application yet: after a restart, anybody. */
export class RefreshBarrier {
  readonly #options: RefreshBarrierOptions
  readonly #summoned = new Set<ObjectKey>()
  readonly #waiters = new Map<ObjectKey, (() => void)[]>()

  constructor(options: RefreshBarrierOptions) {
    this.#options = options
  }

  /**
   * Has all credentials whose targets hold this token join their application, if they can: it is about to be refreshed,
   * and a gateway may kill the old one by that.
   */
  async summon(gatewayUrl: string, fingerprint: string, signal: AbortSignal): Promise<void> {
    const { applications, caches, clock, enqueue } = this.#options
    const holders = [...caches.credentials.byIndex(byToken(gatewayUrl, fingerprint))]
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
      // All are there, or the attempt is called off.
    })
    await Promise.race([Promise.all(done), timeout])
    limit.abort()
  }

  /** Whether a credential is to join its application though nothing of it has changed. */
  isSummoned(key: ObjectKey): boolean {
    return this.#summoned.has(key)
  }

  /** It has joined, or it is let go of. */
  release(key: ObjectKey): void {
    this.#summoned.delete(key)
  }

  /**
   * A look at a credential begins.
   *
   * @returns to be called at its end, for whoever waits for it by now
   */
  beginReconcile(key: ObjectKey): () => void {
    const waiters = this.#waiters.get(key) ?? []
    this.#waiters.delete(key)
    return () => {
      for (const resolve of waiters) resolve()
    }
  }

  /** The refresh, too, takes its share of the life that the token has left. */
  #waitMs([holder]: readonly ObjectKey[]): number {
    const { caches, clock } = this.#options
    const { expiresAt = '' } = (holder === undefined ? undefined : caches.credentials.get(holder))?.status ?? {}
    const lifeLeftMs = Date.parse(expiresAt) - clock.wall()
    return lifeLeftMs > 0 ? Math.min(maxWaitMs, lifeLeftMs / 3) : 0
  }
}
