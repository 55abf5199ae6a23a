import { ApiError } from '../../../src/kubernetes/errors.ts'
import { LeaderElector, type LeaderElectorOptions } from '../../../src/kubernetes/leader-election.ts'
import type {
  CallOptions,
  KubernetesClient,
  KubernetesObject,
  ObjectRef,
  WatchEvent,
  WatchOptions,
} from '../../../src/kubernetes/types.ts'
import type { Clock, Timer } from '../../../src/lib/clock.ts'
import type { Log } from '../../../src/lib/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'

export interface Lease extends KubernetesObject {
  readonly spec: {
    holderIdentity: string
    leaseDurationSeconds: number
    acquireTime: string
    renewTime: string
    leaseTransitions: number
  }
}

/** The passage of one call through the network. */
export interface Passage {
  readonly requestMs: number
  readonly answerMs: number
  readonly isAnswerLost?: boolean
}

export const silent = Object.fromEntries(
  ['trace', 'debug', 'info', 'warn', 'error'].map((level) => [level, () => undefined]),
) as unknown as Log

/** One Lease with the API server's rules: each write gets a new resourceVersion, and an outdated one is refused. */
export class LeaseServer {
  lease: Lease | undefined
  version = 0
  writes = 0
  timeouts: number[] = []
  watches = 0
  canWatch = true
  readonly #watchers = new Set<(lease: Lease) => void>()
  readonly #clock: FakeClock

  constructor(clock: FakeClock) {
    this.#clock = clock
  }

  client(network: () => Passage | 'down' = () => ({ requestMs: 0, answerMs: 0 })) {
    const call = async <T>(options: CallOptions | undefined, carryOut: () => T): Promise<T> => {
      const timeoutMs = options?.timeoutMs ?? 30_000
      this.timeouts.push(timeoutMs)
      const passage = network()
      return await new Promise<T>((resolve, reject) => {
        const fail = (reason: string): void => reject(new ApiError('lease', { code: 0, reason }))
        options?.signal?.addEventListener('abort', () => fail('Aborted'))
        if (options?.signal?.aborted === true) {
          fail('Aborted')
          return
        }
        this.#clock.setTimer(timeoutMs, () => fail('Timeout'))
        if (passage === 'down') return
        // A request that was sent arrives, even if its sender no longer waits.
        this.#after(passage.requestMs, () => {
          let answer: () => void
          try {
            const result = carryOut()
            answer = () => resolve(result)
          } catch (error) {
            const refusal = error as ApiError
            answer = () => reject(refusal)
          }
          if (passage.isAnswerLost !== true) this.#after(passage.answerMs, answer)
        })
      })
    }
    const client: Pick<KubernetesClient, 'get' | 'watch' | 'create' | 'update'> = {
      watch: <T>(_type: unknown, _namespace: string | undefined, { signal }: WatchOptions) =>
        this.#watch<T>(network, signal),
      get: async <T>(_type: unknown, _ref: ObjectRef, options?: CallOptions) =>
        await call(options, () => this.#read() as T),
      create: async <T>(_type: unknown, _namespace: string, body: object, options?: CallOptions) =>
        await call(options, () => {
          if (this.lease !== undefined) throw new ApiError('create', { code: 409, reason: 'AlreadyExists' })
          return this.store(body as Lease) as unknown as T
        }),
      update: async <T>(_type: unknown, _ref: ObjectRef, body: object, options?: CallOptions) =>
        await call(options, () => {
          const { resourceVersion } = this.#read().metadata
          if ((body as Lease).metadata.resourceVersion !== resourceVersion) {
            throw new ApiError('update', { code: 409, reason: 'Conflict' })
          }
          return this.store(body as Lease) as unknown as T
        }),
    }
    return client
  }

  /** Shows each change after the passage of an answer. */
  async *#watch<T>(network: () => Passage | 'down', signal: AbortSignal): AsyncGenerator<WatchEvent<T>> {
    this.watches++
    if (!this.canWatch) throw new ApiError('watch leases', { code: 403, reason: 'Forbidden' })
    const changes: WatchEvent<T>[] = []
    let wake = (): void => undefined
    const onChange = (lease: Lease): void => {
      const passage = network()
      if (passage === 'down') return
      this.#after(passage.answerMs, () => {
        changes.push({ type: 'MODIFIED', object: lease as unknown as T })
        wake()
      })
    }
    this.#watchers.add(onChange)
    signal.addEventListener('abort', () => wake())
    try {
      while (true) {
        if (signal.aborted) throw new ApiError('watch leases', { code: 0, reason: 'Aborted' })
        const change = changes.shift()
        if (change === undefined) await new Promise<void>((resolve) => (wake = resolve))
        else yield change
      }
    } finally {
      this.#watchers.delete(onChange)
    }
  }

  store(lease: Lease): Lease {
    this.writes++
    this.lease = structuredClone({ ...lease, metadata: { ...lease.metadata, resourceVersion: String(++this.version) } })
    for (const onChange of this.#watchers) onChange(structuredClone(this.lease))
    return structuredClone(this.lease)
  }

  #read(): Lease {
    if (this.lease === undefined) throw new ApiError('get', { code: 404, reason: 'NotFound' })
    return structuredClone(this.lease)
  }

  #after(delayMs: number, callback: () => void): void {
    if (delayMs === 0) callback()
    else this.#clock.setTimer(delayMs, callback)
  }
}

/** The clock of a process that can be paused: time passes, and its timers fire after it resumes. */
export class PausableClock implements Clock {
  #isPaused = false
  #late: (() => void)[] = []
  readonly #clock: FakeClock

  constructor(clock: FakeClock) {
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  wall(): number {
    return this.#clock.wall()
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    let isCancelled = false
    const timer = this.#clock.setTimer(delayMs, () => {
      if (this.#isPaused) this.#late.push(() => !isCancelled && callback())
      else callback()
    })
    return {
      cancel: () => {
        isCancelled = true
        timer.cancel()
      },
    }
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    for (const callback of this.#late.splice(0)) callback()
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Delivers an answer while the process runs. */
  async awake<T>(promise: Promise<T>): Promise<T> {
    const wait = async (): Promise<void> => {
      if (this.#isPaused) await new Promise<void>((resolve) => this.#late.push(resolve))
    }
    try {
      return await promise
    } finally {
      await wait()
    }
  }

  /** Delivers events while the process runs. */
  async *awakeEvents<T>(events: AsyncIterable<T>): AsyncGenerator<T> {
    const iterator = events[Symbol.asyncIterator]()
    try {
      while (true) {
        const result = await this.awake(iterator.next())
        if (result.done === true) return
        yield result.value
      }
    } finally {
      await iterator.return?.()
    }
  }
}

export function start(
  server: LeaseServer,
  clock: Clock,
  identity: string,
  options: Partial<LeaderElectorOptions> & { readonly stop?: AbortController } = {},
) {
  const { stop = new AbortController(), ...rest } = options
  const state = { starts: 0, stops: 0, result: undefined as string | undefined }
  const elector = new LeaderElector({
    client: server.client(),
    clock,
    random: () => 0.5,
    log: silent,
    identity,
    namespace: 'enos-system',
    name: 'enos-credential-operator',
    onStartedLeading: () => state.starts++,
    onStoppedLeading: () => state.stops++,
    ...rest,
  })
  const done = elector.run(stop.signal).then((result) => {
    state.result = result
  })
  return { elector, state, stop, done }
}

export function setUp() {
  const clock = new FakeClock()
  return { clock, server: new LeaseServer(clock) }
}
