import { type Clock, sleep, type Timer } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import { formatMicroTime } from '../lib/time.ts'
import { ApiError, isAlreadyExists, isNotFound } from './errors.ts'
import { events, type KubernetesClient, type ObjectRef } from './types.ts'

export interface EventRecorderOptions {
  readonly client: Pick<KubernetesClient, 'create' | 'patch'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** The controller's name: `enos.io/credential-operator`. */
  readonly reportingController: string
  /** The controller's instance: the pod's name. */
  readonly reportingInstance: string
}

/** An event and the object that it regards. */
export interface RecordedEvent {
  readonly regarding: ObjectRef & {
    readonly apiVersion: string
    readonly kind: string
    readonly uid: string
    readonly resourceVersion?: string
  }
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly action: string
  /** Cut to 1,024 bytes. */
  readonly note: string
}

/** One Event object: the repetitions recorded, and those that the API server has. */
interface Series {
  readonly key: string
  readonly ref: ObjectRef
  readonly body: object
  count: number
  /** The last repetition, by the wall clock and by the monotonic clock. */
  lastObservedTime: string
  lastAt: number
  isCreated: boolean
  /** The count that was sent last, and when (monotonic clock). */
  sentCount: number
  sentAt: number
  timer: Timer | undefined
}

/** As client-go: repetitions within this time belong to one series. */
const seriesMs = 6 * 60_000
/** The first repetition is sent at once, later ones together. */
const patchIntervalMs = 60_000
/** The maximum number of series, of buckets, and of events that wait to be sent. */
const maxEntries = 1000
const maxInFlight = 4
const callOptions = { timeoutMs: 10_000 }
const maxNoteBytes = 1024
/** As client-go's spam filter: a burst of new events for each object and type, then one in 5 minutes. */
const bucket = { size: 25, refillMs: 5 * 60_000 }

/**
 * Emits Events of events.k8s.io/v1. Repetitions become a series and excess events are dropped: events are hints, and the
 * operator's own work never waits for them.
 */
export class EventRecorder {
  readonly #options: EventRecorderOptions
  /** At most `maxEntries`, ordered by last use: the least recent is evicted. */
  readonly #series = new Map<string, Series>()
  /** At most `maxEntries`, ordered by last use: the least recent is evicted. */
  readonly #buckets = new Map<string, { tokens: number; at: number }>()
  /** At most `maxEntries`: beyond that the oldest is dropped. */
  readonly #queue = new Set<Series>()
  /** One entry for each `flush` that waits. */
  readonly #idle = new Set<() => void>()
  /** At most `maxInFlight`. */
  readonly #inFlight = new Set<Series>()
  #isOverflowing = false
  #lastMicros = 0

  constructor(options: EventRecorderOptions) {
    this.#options = options
  }

  /** Records an event, to be sent in the background. Never throws. */
  record(event: RecordedEvent): void {
    try {
      this.#record({ ...event, note: cut(event.note) })
    } catch (error) {
      this.#dropped(event.regarding, error)
    }
  }

  /** Sends all pending events and resolves when they are sent or dropped, at the latest after `timeoutMs`. */
  async flush(timeoutMs: number): Promise<void> {
    for (const series of this.#series.values()) if (series.timer !== undefined) this.#enqueue(series)
    if (this.#inFlight.size === 0) return
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        timer.cancel()
        this.#idle.delete(finish)
        resolve()
      }
      const timer = this.#options.clock.setTimer(timeoutMs, finish)
      this.#idle.add(finish)
    })
  }

  #record(event: RecordedEvent): void {
    const { clock } = this.#options
    const { regarding, type, reason, action, note } = event
    const key = JSON.stringify([regarding.uid, type, reason, action, note])
    const now = clock.now()
    const known = this.#series.get(key)
    if (known !== undefined && now - known.lastAt < seriesMs) {
      known.count++
      known.lastAt = now
      known.lastObservedTime = formatMicroTime(clock.wall() * 1000)
      remember(this.#series, key, known)
      this.#schedule(known)
      return
    }
    if (!this.#takeToken(`${regarding.uid} ${type}`, now)) return
    const series = this.#newSeries(key, event, now)
    const evicted = remember(this.#series, key, series)
    // Its last count is still sent.
    if (evicted?.timer !== undefined) this.#enqueue(evicted)
    this.#enqueue(series)
  }

  #newSeries(key: string, event: RecordedEvent, now: number): Series {
    const { clock, random, reportingController, reportingInstance } = this.#options
    const { name: object, namespace } = event.regarding
    // Unique within this process; the random digits make it unique among processes.
    this.#lastMicros = Math.max(Math.floor(clock.wall() * 1000), this.#lastMicros + 1)
    const eventTime = formatMicroTime(this.#lastMicros)
    const digits = Math.floor(random() * 0x10000).toString(16)
    const suffix = `.${this.#lastMicros.toString(16)}${digits.padStart(4, '0')}`
    const name = object.slice(0, 253 - suffix.length).replace(/[.-]+$/, '') + suffix
    return {
      key,
      ref: { namespace, name },
      body: {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { name, namespace },
        eventTime,
        reportingController,
        reportingInstance: reportingInstance.slice(0, 128),
        ...event,
      },
      count: 1,
      lastObservedTime: eventTime,
      lastAt: now,
      isCreated: false,
      sentCount: 0,
      sentAt: now,
      timer: undefined,
    }
  }

  /** Sends the new count of a series when it is due, or at once while a `flush` waits. */
  #schedule(series: Series): void {
    if (this.#isPending(series) || series.timer !== undefined || series.sentCount === series.count) return
    const { clock } = this.#options
    const delayMs = series.sentCount === 1 ? 0 : series.sentAt + patchIntervalMs - clock.now()
    if (delayMs <= 0 || this.#idle.size > 0) this.#enqueue(series)
    else series.timer = clock.setTimer(delayMs, () => this.#enqueue(series))
  }

  #enqueue(series: Series): void {
    series.timer?.cancel()
    series.timer = undefined
    if (this.#isPending(series)) return
    this.#queue.add(series)
    if (this.#queue.size > maxEntries) this.#dropOldest()
    this.#pump()
  }

  #dropOldest(): void {
    const [oldest] = this.#queue
    if (oldest === undefined) return
    this.#queue.delete(oldest)
    this.#forget(oldest)
    if (this.#isOverflowing) return
    this.#isOverflowing = true
    this.#options.log.debug({ limit: maxEntries }, 'too many pending events, dropping the oldest')
  }

  #pump(): void {
    for (const series of this.#queue) {
      if (this.#inFlight.size >= maxInFlight) return
      this.#queue.delete(series)
      this.#inFlight.add(series)
      this.#send(series)
        .catch((error: unknown) => {
          this.#dropped(series.ref, error)
          // Its next repetition tries again, unless the event itself was refused or its namespace is terminating.
          if (isTransient(error)) series.sentCount = series.count
          else this.#forget(series)
        })
        .finally(() => {
          this.#inFlight.delete(series)
          if (this.#series.get(series.key) === series) this.#schedule(series)
          this.#pump()
        })
    }
    if (this.#inFlight.size > 0) return
    this.#isOverflowing = false
    for (const resolve of [...this.#idle]) resolve()
  }

  /** Creates the Event or patches its series, with one retry after a transient failure. */
  async #send(series: Series): Promise<void> {
    const { clock, random } = this.#options
    series.sentAt = clock.now()
    try {
      await this.#sendOnce(series)
    } catch (error) {
      if (!isTransient(error)) throw error
      await sleep(clock, Math.min(callOptions.timeoutMs, error.retryAfterMs ?? 1000) * (1 + 0.25 * random()))
      await this.#sendOnce(series)
    }
  }

  async #sendOnce(series: Series): Promise<void> {
    const { client } = this.#options
    const { body, count, lastObservedTime, ref } = series
    const change = count > 1 ? { series: { count, lastObservedTime } } : {}
    if (series.isCreated) {
      try {
        await client.patch(events, ref, { type: 'merge', body: change }, callOptions)
        series.sentCount = count
        return
      } catch (error) {
        // The API server deletes events after an hour.
        if (!isNotFound(error)) throw error
      }
    }
    series.sentCount = count
    try {
      await client.create(events, ref.namespace, { ...body, ...change }, callOptions)
    } catch (error) {
      if (!isAlreadyExists(error)) throw error
      // The answer to the first attempt was lost; that attempt may have had another count.
      series.sentCount = 1
    }
    series.isCreated = true
  }

  /** Removes a series: its next repetition is a new event. */
  #forget(series: Series): void {
    series.timer?.cancel()
    series.timer = undefined
    if (this.#series.get(series.key) === series) this.#series.delete(series.key)
  }

  #dropped(object: ObjectRef, error: unknown): void {
    const detail = error instanceof Error ? error.message : String(error)
    this.#options.log.debug({ namespace: object.namespace, name: object.name, detail }, 'dropped an event')
  }

  #takeToken(key: string, now: number): boolean {
    const { tokens, at } = this.#buckets.get(key) ?? { tokens: bucket.size, at: now }
    const available = Math.min(bucket.size, tokens + (now - at) / bucket.refillMs)
    remember(this.#buckets, key, { tokens: available >= 1 ? available - 1 : available, at: now })
    return available >= 1
  }

  #isPending(series: Series): boolean {
    return this.#queue.has(series) || this.#inFlight.has(series)
  }
}

/** Makes the entry the most recent one. Removes and returns the least recent one when there are too many. */
function remember<T>(map: Map<string, T>, key: string, value: T): T | undefined {
  map.delete(key)
  map.set(key, value)
  const [oldest] = map
  if (oldest === undefined || map.size <= maxEntries) return undefined
  map.delete(oldest[0])
  return oldest[1]
}

/** No answer, 429 or 5xx. A write that this replica may not send is not transient. */
function isTransient(error: unknown): error is ApiError {
  if (!(error instanceof ApiError)) return false
  return error.code === 0 ? error.reason !== 'NotLeading' : error.code === 429 || error.code >= 500
}

/** Cuts a note to 1,024 bytes of UTF-8, between characters. */
function cut(note: string): string {
  const bytes = Buffer.from(note)
  if (bytes.length <= maxNoteBytes) return note
  let end = maxNoteBytes - Buffer.byteLength('…')
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return `${bytes.subarray(0, end).toString()}…`
}
