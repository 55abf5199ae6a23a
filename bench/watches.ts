import type { Api, KubeObject, WatchEvent } from './api.ts'
import { credentialsIn, type FixtureSet, secretsIn } from './fixtures.ts'

const maxReadyMs = 20 * 60_000
const maxEventMs = 60_000

/** Observes the resources of a namespace become Ready, independently of the operator. */
export class ReadyWatch {
  /** Time of the first Ready by name, on performance.now(). */
  readonly #readyAt = new Map<string, number>()
  readonly #watch: Watch

  private constructor(api: Api, { fixtures, namespace }: FixtureSet, resourceVersion: string) {
    this.#watch = new Watch(api, credentialsIn(namespace), resourceVersion, ({ object }) => {
      const { name } = object.metadata
      if (isReady(object) && !this.#readyAt.has(name)) this.#readyAt.set(name, performance.now())
      return this.#readyAt.size >= fixtures.length
    })
  }

  static async start(api: Api, set: FixtureSet): Promise<ReadyWatch> {
    const { items, resourceVersion } = await api.list(credentialsIn(set.namespace))
    if (items.length !== set.fixtures.length) {
      throw new Error(`expected ${set.fixtures.length} resources, seen ${items.length}`)
    }
    if (items.some(isReady)) {
      throw new Error('resources are Ready before the operator starts: another operator may be running')
    }
    return new ReadyWatch(api, set, resourceVersion)
  }

  /** @returns when the first and the last became Ready, on performance.now() */
  async allReady(): Promise<{ firstAt: number; lastAt: number }> {
    await this.#watch.done(maxReadyMs)
    const times = [...this.#readyAt.values()]
    return { firstAt: Math.min(...times), lastAt: Math.max(...times) }
  }

  stop(): void {
    this.#watch.stop()
  }
}

/** Observes Secrets of a namespace being deleted and recreated. */
export class SecretWatch {
  readonly #watch: Watch
  readonly #waiting = new Map<string, { left: number; readonly resolve: (at: number) => void }>()

  private constructor(api: Api, namespace: string, resourceVersion: string) {
    this.#watch = new Watch(api, secretsIn(namespace), resourceVersion, ({ object, type }) => {
      const key = `${type} ${object.metadata.name}`
      const waiting = this.#waiting.get(key)
      if (waiting === undefined || --waiting.left > 0) return false
      this.#waiting.delete(key)
      waiting.resolve(performance.now())
      return false
    })
  }

  static async start(api: Api, namespace: string): Promise<SecretWatch> {
    const { resourceVersion } = await api.list(secretsIn(namespace))
    return new SecretWatch(api, namespace, resourceVersion)
  }

  /** Waits for so many events of this type for this Secret. @returns the time of the last, on performance.now() */
  async next(type: 'ADDED' | 'MODIFIED' | 'DELETED', name: string, events = 1): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>()
    this.#waiting.set(`${type} ${name}`, { left: events, resolve })
    return await within(maxEventMs, promise, `fewer than ${events} ${type} events for Secret ${name}`)
  }

  stop(): void {
    this.#watch.stop()
  }
}

/** A watch that stops when `onEvent` returns true. */
class Watch {
  readonly #stop = new AbortController()
  readonly #ended: Promise<void>

  constructor(api: Api, path: string, resourceVersion: string, onEvent: (event: WatchEvent) => boolean) {
    this.#ended = api.watch(path, resourceVersion, this.#stop.signal, (event) => {
      if (event.type === 'ERROR') throw new Error(`the watch of ${path} failed`)
      if (onEvent(event)) this.#stop.abort()
    })
    this.#ended.catch(() => {
      // Callers of `done` get the error.
    })
  }

  async done(withinMs: number): Promise<void> {
    try {
      await within(withinMs, this.#ended, 'not all resources became Ready')
    } finally {
      this.stop()
    }
  }

  stop(): void {
    this.#stop.abort()
  }
}

async function within<T>(maxMs: number, promise: Promise<T>, message: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${message} within ${maxMs / 1000} s`)), maxMs)
  })
  try {
    return await Promise.race([promise, timeout])
  } finally {
    clearTimeout(timer)
  }
}

function isReady({ status }: KubeObject): boolean {
  return status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false
}
