import { type Backoff, backoffMs } from '../lib/backoff.ts'
import { type Clock, sleep } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import { ApiError, isExpired, isForbidden, isKindUnknown, isVersionTooLarge } from './errors.ts'
import { isNewer, isOlder, type Store, type Stored } from './store.ts'
import type { KubernetesClient, KubernetesObject, ResourceType } from './types.ts'

export interface ReflectorOptions<T extends KubernetesObject, S extends Stored> {
  readonly client: Pick<KubernetesClient, 'list' | 'watch'>
  readonly type: ResourceType
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined
  /** Lists and watches PartialObjectMetadata: the objects' data is not transferred. */
  readonly metadataOnly?: boolean
  /** Undefined: all objects. */
  readonly labelSelector?: string | undefined
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
/** A CustomResourceDefinition is installed by hand, most often while its user looks at the log. */
const unknownKindBackoff = { baseMs: 800, capMs: 5000 }
/** Until the first list is complete, a failure that lasts is logged again after this time, then in this interval. */
const firstReminderMs = 10_000
const reminderMs = 60_000
/** A failure after a watch that lived this long counts as the first. */
const healthyMs = 60_000
/** A watch that the server ends sooner counts as failed, so that reopening it is no hot loop. */
const minWatchMs = 1000
/** The cap on Retry-After: a reflector that waits longer could not be told from a stuck one. */
const maxRetryAfterMs = 60_000
/** As client-go: watches end after 5 to 10 minutes, so that they do not all end at once. */
const watchSeconds = { min: 300, spread: 300 }

const wentBack = 'API server went back to an older revision, cache replaced'

/** A bookmark was older than a version seen before. */
class WentBackError extends Error {
  override readonly name = 'WentBackError'
}

/**
 * Keeps a store equal to the API server's state: pages through a LIST, then WATCHes from there, resumes from the last
 * bookmark, lists again when the resourceVersion has expired (410), and retries every other failure for ever, with
 * backoff.
 *
 * After a restore of etcd the API server's state is older than the reflector's, and a watch from the reflector's version
 * stays silent. So a watch that failed or received nothing is not reopened before a small list has shown the present
 * version. A complete list that is older than a version seen before replaces the store's objects, newer ones included.
 */
export class Reflector<T extends KubernetesObject, S extends Stored> {
  readonly #options: ReflectorOptions<T, S>
  /** Where the next watch starts; undefined: a list comes first. */
  #resourceVersion: string | undefined
  /** The newest version seen in a list, an event or a bookmark. */
  #newestVersion = ''
  /** The last watch failed or received nothing, so the API server's state may have gone back. */
  #mayHaveGoneBack = false
  #failures = 0
  #reported = ''
  #failingSince = 0
  #reminderAt = 0
  #hasSynced = false
  /** One for each caller of `synced`, until the first list. */
  #onSynced: (() => void)[] = []
  readonly #refused = Promise.withResolvers<undefined>()
  #lastProgressAt: number
  #lastContactAt: number

  constructor(options: ReflectorOptions<T, S>) {
    this.#options = options
    this.#lastProgressAt = this.#lastContactAt = options.clock.now()
  }

  /** The plural of the watched kind. */
  get resource(): string {
    return this.#options.type.plural
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
  get lastProgressAt(): number {
    return this.#lastProgressAt
  }

  /** The time of the last page, event or regular end of a watch, monotonic clock; at first the start. It stands still in an outage. */
  get lastContactAt(): number {
    return this.#lastContactAt
  }

  /** Runs until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const isStopped = (): boolean => signal.aborted
    while (!isStopped()) {
      const startedAt = this.#touch()
      let retryAfterMs = 0
      let schedule = backoff
      try {
        if (this.#mayHaveGoneBack) await this.#checkVersion(signal)
        if (this.#resourceVersion === undefined) await this.#list(signal)
        await this.#watch(signal)
        if (this.#hear() - startedAt >= minWatchMs) {
          this.#recover()
          continue
        }
        this.#failures++
      } catch (error) {
        if (isStopped()) return
        const now = this.#touch()
        if (isExpired(error) || isVersionTooLarge(error) || error instanceof WentBackError) {
          this.#resourceVersion = undefined
          // The first of these is cured by an immediate list; a list that itself fails so must not become a hot loop.
          if (++this.#failures === 1) continue
        } else {
          this.#mayHaveGoneBack = true
          this.#failures = now - startedAt >= healthyMs ? 1 : this.#failures + 1
          this.#report(error)
          if (isForbidden(error)) this.#refused.resolve(undefined)
          schedule = scheduleFor(error)
          if (error instanceof ApiError) retryAfterMs = Math.min(error.retryAfterMs ?? 0, maxRetryAfterMs)
        }
      }
      await this.#pause(Math.max(retryAfterMs, backoffMs(schedule, this.#failures, this.#options.random)), signal)
    }
  }

  /** Has the next step list anew if the present version is older than the one to watch from. */
  async #checkVersion(signal: AbortSignal): Promise<void> {
    if (this.#resourceVersion !== undefined) {
      const { client, namespace, type } = this.#options
      const { metadata } = await client.list<T>(type, namespace, { ...this.#selection(), limit: 1, signal })
      this.#hear()
      if (isOlder(metadata.resourceVersion ?? '', this.#resourceVersion)) this.#resourceVersion = undefined
    }
    this.#mayHaveGoneBack = false
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, log, namespace, pageSize = 500, store, transform, type } = this.#options
    const objects: S[] = []
    const versions = new Set<string>()
    let next: string | undefined
    let resourceVersion: string
    do {
      // No resourceVersion: the newest state, so that a relist never gets an older one from a watch cache that lags.
      const page = await client.list<T>(type, namespace, {
        ...this.#selection(),
        limit: pageSize,
        signal,
        ...(next === undefined ? {} : { continue: next }),
      })
      this.#hear()
      for (const object of page.items) objects.push(transform(object))
      next = page.metadata.continue === '' ? undefined : page.metadata.continue
      resourceVersion = page.metadata.resourceVersion ?? ''
      versions.add(resourceVersion)
    } while (next !== undefined)
    signal.throwIfAborted()
    // Pages of several versions are no consistent state, so they do not replace newer objects.
    if (versions.size === 1 && isOlder(resourceVersion, this.#newestVersion)) {
      log.warn({ resource: type.plural, from: this.#newestVersion, to: resourceVersion }, wentBack)
      store.reset(objects, namespace)
    } else {
      store.replace(objects, resourceVersion, namespace)
    }
    this.#newestVersion = this.#resourceVersion = resourceVersion
    if (this.#hasSynced) return
    // Before the callers of `synced` log that they go on.
    this.#logRecovery()
    this.#hasSynced = true
    for (const resolve of this.#onSynced.splice(0)) resolve()
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { client, namespace, random, store, transform, type } = this.#options
    const events = client.watch<T>(type, namespace, {
      resourceVersion: this.#resourceVersion ?? '',
      timeoutSeconds: Math.round(watchSeconds.min + watchSeconds.spread * random()),
      ...this.#selection(),
      signal,
    })
    this.#mayHaveGoneBack = true
    for await (const { type: event, object } of events) {
      this.#hear()
      const version = object.metadata.resourceVersion
      if (event === 'BOOKMARK' && isOlder(version ?? '', this.#newestVersion)) throw new WentBackError()
      if (event === 'DELETED') store.remove(transform(object))
      // Own writes are in the store already: their events need not be parsed once more.
      else if (event !== 'BOOKMARK' && !store.isUpToDate(object.metadata)) store.upsert(transform(object))
      // Only after the store took the object: the next watch repeats an event that could not be stored.
      this.#resourceVersion = version ?? this.#resourceVersion
      if (version !== undefined && isNewer(version, this.#newestVersion)) this.#newestVersion = version
      this.#mayHaveGoneBack = false
      this.#recover()
    }
  }

  /** The part of the state that is asked for. */
  #selection(): { readonly metadataOnly: boolean; readonly labelSelector?: string } {
    const { labelSelector, metadataOnly = false } = this.#options
    return { metadataOnly, ...(labelSelector === undefined ? {} : { labelSelector }) }
  }

  #touch(): number {
    this.#lastProgressAt = this.#options.clock.now()
    return this.#lastProgressAt
  }

  /** The API server answered. */
  #hear(): number {
    return (this.#lastContactAt = this.#touch())
  }

  #recover(): void {
    this.#failures = 0
    this.#logRecovery()
  }

  #logRecovery(): void {
    if (this.#reported === '') return
    this.#reported = ''
    this.#options.log.info({ resource: this.#options.type.plural }, 'list and watch recovered')
  }

  /**
   * Logs one line for each kind of failure, not for each attempt; until the first list, reminders that it lasts: as errors
   * after a minute, since an operator that does not start is one.
   */
  #report(error: unknown): void {
    const { group, plural } = this.#options.type
    let detail = error instanceof Error ? error.message : String(error)
    if (isKindUnknown(error)) {
      const kind = [plural, group].filter((part) => part !== '').join('.')
      detail = `the API server does not serve ${kind}: install its CustomResourceDefinition`
    }
    const { clock, log, namespace } = this.#options
    const isRefused = error instanceof ApiError && error.isPermissionMissing
    const where = namespace === undefined ? 'in all namespaces' : `in namespace ${namespace}`
    const advice = `grant the operator get, list and watch of ${plural} ${where}: deploy/ has the roles`
    const remedy = isRefused ? { advice } : {}
    const now = clock.now()
    const isNew = detail !== this.#reported
    if (this.#reported === '') {
      this.#failingSince = now
      this.#reminderAt = now + firstReminderMs
    }
    this.#reported = detail
    const failingForMs = Math.round(now - this.#failingSince)
    if (!this.#hasSynced && now >= this.#reminderAt) {
      this.#reminderAt = now + reminderMs
      const level = failingForMs < reminderMs ? 'warn' : 'error'
      log[level]({ resource: plural, detail, ...remedy, failingForMs }, 'list still fails, retrying')
    } else if (isNew) {
      log.warn({ resource: plural, detail, ...remedy }, 'list or watch failed, retrying')
    }
  }

  async #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    try {
      await sleep(this.#options.clock, delayMs, signal)
    } catch {
      // The signal aborted, which `run` checks.
    }
  }
}

function scheduleFor(error: unknown): Backoff {
  return isKindUnknown(error) ? unknownKindBackoff : backoff
}
