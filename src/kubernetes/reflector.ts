import { backoffMs } from '../lib/backoff.ts'
import { type Clock, sleep } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { Log } from '../lib/log.ts'
import { ApiError, isExpired, isForbidden } from './errors.ts'
import type { Store, Stored } from './store.ts'
import type { KubernetesClient, KubernetesObject, ResourceType } from './types.ts'

export interface ReflectorOptions<T extends KubernetesObject, S extends Stored> {
  readonly client: Pick<KubernetesClient, 'list' | 'watch'>
  readonly type: ResourceType
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined
  /** Lists and watches PartialObjectMetadata: the objects' data is not transferred. */
  readonly metadataOnly?: boolean
  readonly pageSize?: number
  /** Selects the parts of an object that the store keeps. */
  readonly transform: (object: T) => S
  readonly store: Store<S>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** As client-go: 800 ms to 30 s. */
const backoff = { baseMs: 800, capMs: 30_000 }
/** A failure after a watch that lived this long counts as the first. */
const healthyMs = 60_000
/** A watch that the server ends sooner counts as failed, so that reopening it is no hot loop. */
const minWatchMs = 1000
/** The cap on Retry-After: a reflector that waits longer could not be told from a stuck one. */
const maxRetryAfterMs = 60_000
/** As client-go: watches end after 5 to 10 minutes, so that they do not all end at once. */
const watchSeconds = { min: 300, spread: 300 }

/**
 * Keeps a store equal to the API server's state: pages through a LIST, then WATCHes from there, resumes from the last
 * bookmark, lists again when the resourceVersion has expired (410), and retries every other failure for ever, with
 * backoff.
 */
export class Reflector<T extends KubernetesObject, S extends Stored> {
  readonly #options: ReflectorOptions<T, S>
  #resourceVersion: string | undefined
  #failures = 0
  #reported = ''
  #hasSynced = false
  #onSynced: (() => void)[] = []
  readonly #refused = Promise.withResolvers<undefined>()
  #lastContactAt: number

  constructor(options: ReflectorOptions<T, S>) {
    this.#options = options
    this.#lastContactAt = options.clock.now()
  }

  /** Whether the first list is complete. Stays true through later failures. */
  hasSynced(): boolean {
    return this.#hasSynced
  }

  /** Resolves with the first complete list. */
  async synced(): Promise<void> {
    if (this.#hasSynced) return
    await new Promise<void>((resolve) => this.#onSynced.push(resolve))
  }

  /** Resolves when the API server first refuses the list or watch (403). Retries go on. */
  async refused(): Promise<void> {
    await this.#refused.promise
  }

  /** The time of the last attempt, page or event, monotonic clock. It stands still in a stuck reflector. */
  get lastContactAt(): number {
    return this.#lastContactAt
  }

  /** Runs until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const isStopped = (): boolean => signal.aborted
    while (!isStopped()) {
      const startedAt = this.#touch()
      let retryAfterMs = 0
      try {
        if (this.#resourceVersion === undefined) await this.#list(signal)
        await this.#watch(signal)
        if (this.#touch() - startedAt >= minWatchMs) {
          this.#recover()
          continue
        }
        this.#failures++
      } catch (error) {
        if (isStopped()) return
        const now = this.#touch()
        if (isExpired(error)) {
          this.#resourceVersion = undefined
          // The first 410 is cured by an immediate list; a list that itself answers 410 must not become a hot loop.
          if (++this.#failures === 1) continue
        } else {
          this.#failures = now - startedAt >= healthyMs ? 1 : this.#failures + 1
          this.#report(error)
          if (isForbidden(error)) this.#refused.resolve(undefined)
          if (error instanceof ApiError) retryAfterMs = Math.min(error.retryAfterMs ?? 0, maxRetryAfterMs)
        }
      }
      await this.#pause(Math.max(retryAfterMs, backoffMs(backoff, this.#failures, this.#options.random)), signal)
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, metadataOnly = false, namespace, pageSize = 500, store, transform, type } = this.#options
    const objects: S[] = []
    let next: string | undefined
    let resourceVersion: string
    do {
      // No resourceVersion: the newest state, so that a relist never gets an older one from a watch cache that lags.
      const page = await client.list<T>(type, namespace, {
        limit: pageSize,
        metadataOnly,
        signal,
        ...(next === undefined ? {} : { continue: next }),
      })
      this.#touch()
      for (const object of page.items) objects.push(transform(object))
      next = page.metadata.continue === '' ? undefined : page.metadata.continue
      resourceVersion = page.metadata.resourceVersion ?? ''
    } while (next !== undefined)
    signal.throwIfAborted()
    store.replace(objects, resourceVersion, namespace)
    this.#resourceVersion = resourceVersion
    if (this.#hasSynced) return
    this.#hasSynced = true
    for (const resolve of this.#onSynced.splice(0)) resolve()
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { client, metadataOnly = false, namespace, random, store, transform, type } = this.#options
    const events = client.watch<T>(type, namespace, {
      resourceVersion: this.#resourceVersion ?? '',
      timeoutSeconds: Math.round(watchSeconds.min + watchSeconds.spread * random()),
      metadataOnly,
      signal,
    })
    for await (const { type: event, object } of events) {
      this.#touch()
      if (event === 'DELETED') store.remove(transform(object))
      else if (event !== 'BOOKMARK') store.upsert(transform(object))
      // Only after the store took the object: the next watch repeats an event that could not be stored.
      this.#resourceVersion = object.metadata.resourceVersion ?? this.#resourceVersion
      this.#recover()
    }
  }

  #touch(): number {
    this.#lastContactAt = this.#options.clock.now()
    return this.#lastContactAt
  }

  #recover(): void {
    this.#failures = 0
    if (this.#reported === '') return
    this.#reported = ''
    this.#options.log.info({ resource: this.#options.type.plural }, 'list and watch recovered')
  }

  /** Logs one line for each kind of failure, not for each attempt. */
  #report(error: unknown): void {
    const detail = error instanceof Error ? error.message : String(error)
    if (detail === this.#reported) return
    this.#reported = detail
    this.#options.log.warn({ resource: this.#options.type.plural, detail }, 'list or watch failed, retrying')
  }

  async #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    try {
      await sleep(this.#options.clock, delayMs, signal)
    } catch {
      // The signal aborted, which `run` checks.
    }
  }
}
