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
  /** Neither list nor watch brings the objects' data. */
  readonly metadataOnly?: boolean
  readonly pageSize?: number
  /** What is kept of an object. */
  readonly transform: (object: T) => S
  readonly store: Store<S>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** As client-go: 800 ms to 30 s. */
const backoff = { baseMs: 800, capMs: 30_000 }
/** A watch that lived this long was healthy: the next failure is a first one. */
const healthyMs = 60_000
/** A watch that the server ends sooner counts as failed, lest it be opened in a hot loop. */
const shortestWatchMs = 1000
/** A server may ask for patience, but not for so much that nobody can tell it from a reflector that is stuck. */
const maxRetryAfterMs = 60_000
/** As client-go: watches end after 5 to 10 minutes, so that they do not all end at once. */
const watchSeconds = { least: 300, spread: 300 }

/**
 * Keeps a store equal to what the API server has: pages through a LIST, then WATCHes from there, resumes from the last
 * bookmark, lists again when the resourceVersion is too old (410), and retries everything else for ever, with backoff.
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

  /** Whether the store has been complete once. */
  hasSynced(): boolean {
    return this.#hasSynced
  }

  /** Resolves when the store is complete for the first time. */
  async synced(): Promise<void> {
    if (this.#hasSynced) return
    await new Promise<void>((resolve) => this.#onSynced.push(resolve))
  }

  /** Resolves when the API server refuses it for the first time (403). It is tried on all the same. */
  async refused(): Promise<void> {
    await this.#refused.promise
  }

  /** When something was last tried or heard, monotonic clock. A reflector that is stuck stops moving this on. */
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
        if (this.#touch() - startedAt >= shortestWatchMs) {
          this.#recover()
          continue
        }
        this.#failures++
      } catch (error) {
        if (isStopped()) return
        const now = this.#touch()
        if (isExpired(error)) {
          this.#resourceVersion = undefined
          // A list right after a 410 is the cure; a list that answers 410 itself must not be repeated in a hot loop.
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
      // No resourceVersion: the newest state, never an older one from a cache behind, so that a relist does not go back.
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
      timeoutSeconds: Math.round(watchSeconds.least + watchSeconds.spread * random()),
      metadataOnly,
      signal,
    })
    for await (const { type: event, object } of events) {
      this.#touch()
      if (event === 'DELETED') store.remove(transform(object))
      else if (event !== 'BOOKMARK') store.upsert(transform(object))
      // Only now: where one could not be stored, the next watch brings it again.
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
    this.#options.log.info({ resource: this.#options.type.plural }, 'list and watch work again')
  }

  /** One line for each kind of failure, not for each attempt. */
  #report(error: unknown): void {
    const detail = error instanceof Error ? error.message : String(error)
    if (detail === this.#reported) return
    this.#reported = detail
    this.#options.log.warn({ resource: this.#options.type.plural, detail }, 'list or watch failed; trying again')
  }

  async #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    try {
      await sleep(this.#options.clock, delayMs, signal)
    } catch {
      // Aborted: `run` sees it.
    }
  }
}
