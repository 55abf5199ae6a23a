import type { Api, KubeObject, WatchEvent } from './api.ts'
import { credentialsIn, type FixtureSet, secretsIn } from './fixtures.ts'

const readyLimitMs = 10 * 60_000

/** Sees the resources of a namespace become Ready, independently of whoever makes them so. */
export class ReadyWatch {
  /** When each became Ready, on performance.now(). */
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
    if (items.length !== set.fixtures.length) throw new Error('some resources were not made')
    if (items.some(isReady)) throw new Error('somebody else made resources Ready; does another operator run there?')
    return new ReadyWatch(api, set, resourceVersion)
  }

  /** @returns when the first and the last became Ready, on performance.now() */
  async allReady(): Promise<{ firstAt: number; lastAt: number }> {
    await this.#watch.done(readyLimitMs)
    const times = [...this.#readyAt.values()]
    return { firstAt: Math.min(...times), lastAt: Math.max(...times) }
  }

  stop(): void {
    this.#watch.stop()
  }
}

/** Sees Secrets of a namespace go and come. */
export class SecretWatch {
  readonly #watch: Watch
  readonly #waiting = new Map<string, (at: number) => void>()

  private constructor(api: Api, namespace: string, resourceVersion: string) {
    this.#watch = new Watch(api, secretsIn(namespace), resourceVersion, ({ object, type }) => {
      const key = `${type} ${object.metadata.name}`
      this.#waiting.get(key)?.(performance.now())
      this.#waiting.delete(key)
      return false
    })
  }

  static async start(api: Api, namespace: string): Promise<SecretWatch> {
    const { resourceVersion } = await api.list(secretsIn(namespace))
    return new SecretWatch(api, namespace, resourceVersion)
  }

  /** The next event of this type about this Secret. @returns when it came, on performance.now() */
  async next(type: 'ADDED' | 'DELETED', name: string, withinMs = 60_000): Promise<number> {
    const seen = new Promise<number>((resolve) => this.#waiting.set(`${type} ${name}`, resolve))
    return await within(withinMs, seen, `Secret ${name} was not ${type}`)
  }

  stop(): void {
    this.#watch.stop()
  }
}

/** A watch until `onEvent` says that it has seen enough. */
class Watch {
  readonly #stop = new AbortController()
  readonly #ended: Promise<void>

  constructor(api: Api, path: string, resourceVersion: string, onEvent: (event: WatchEvent) => boolean) {
    this.#ended = api.watch(path, resourceVersion, this.#stop.signal, (event) => {
      if (event.type === 'ERROR') throw new Error(`the watch of ${path} failed`)
      if (onEvent(event)) this.#stop.abort()
    })
    this.#ended.catch(() => {
      // Told to whoever waits for it.
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

async function within<T>(limitMs: number, promise: Promise<T>, message: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${message} within ${limitMs / 1000} s`)), limitMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

function isReady({ status }: KubeObject): boolean {
  return status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false
}
