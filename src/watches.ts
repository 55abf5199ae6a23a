import { Reflector } from './kubernetes/reflector.ts'
import {
  configMaps,
  credentials,
  type KubernetesClient,
  type KubernetesObject,
  type ResourceType,
  secrets,
} from './kubernetes/types.ts'
import type { Store, Stored } from './kubernetes/store.ts'
import type { Clock } from './lib/clock.ts'
import type { Random } from './lib/random.ts'
import type { Caches } from './reconcile/caches.ts'
import { readCredential, readMetadata } from './reconcile/stored.ts'
import type { Log } from './telemetry/logger.ts'

export interface WatchesOptions {
  readonly client: Pick<KubernetesClient, 'list' | 'watch'>
  readonly caches: Caches
  /** Empty: all namespaces. */
  readonly namespaces: readonly string[]
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** The parts of a reflector that do not depend on what it watches. */
type AnyReflector = Pick<Reflector<KubernetesObject, Stored>, 'hasSynced' | 'synced' | 'run' | 'lastContactAt'>

/** Keeps the caches as the API server has them: a reflector for each kind and namespace. Of Secrets metadata only. */
export class Watches {
  readonly #options: WatchesOptions
  readonly #reflectors: AnyReflector[] = []
  /** Those without which no work can begin. ConfigMaps are not among them: the API server may refuse them for ever. */
  #required: readonly AnyReflector[] = []
  #signal: AbortSignal | undefined
  #configMapsSynced: Promise<void> | undefined
  readonly #running: Promise<void>[] = []

  constructor(options: WatchesOptions) {
    this.#options = options
  }

  /** Starts watching, until the signal aborts. */
  start(signal: AbortSignal): void {
    this.#signal = signal
    const { caches } = this.#options
    this.#required = [
      ...this.#watch(credentials, caches.credentials, readCredential),
      ...this.#watch(secrets, caches.secrets, readMetadata, true),
    ]
  }

  /** Whether credentials and Secrets have been complete once. */
  hasSynced(): boolean {
    return this.#required.length > 0 && this.#required.every((reflector) => reflector.hasSynced())
  }

  async synced(): Promise<void> {
    await Promise.all(this.#required.map((reflector) => reflector.synced()))
  }

  /** Resolves when ConfigMaps are known; they are watched from the first call on. */
  configMapsSynced(): Promise<void> {
    this.#configMapsSynced ??= Promise.all(
      this.#watch(configMaps, this.#options.caches.configMaps, readMetadata, true).map((reflector) =>
        reflector.synced(),
      ),
    ).then(() => undefined)
    return this.#configMapsSynced
  }

  /** When the watch that was heard of least lately was heard of, steady. */
  get quietestContactAt(): number {
    return Math.min(...this.#reflectors.map((reflector) => reflector.lastContactAt))
  }

  /** Resolves when all have ended, after the signal aborted. */
  async ended(): Promise<void> {
    await Promise.all(this.#running)
  }

  #watch<S extends Stored>(
    type: ResourceType,
    store: Store<S>,
    transform: (object: KubernetesObject) => S,
    metadataOnly = false,
  ): AnyReflector[] {
    const { client, clock, log, namespaces, random } = this.#options
    const signal = this.#signal
    if (signal === undefined) throw new Error('the watches are not started')
    const scopes = namespaces.length === 0 ? [undefined] : namespaces
    const reflectors = scopes.map((namespace) => {
      return new Reflector<KubernetesObject, S>({
        client,
        type,
        namespace,
        metadataOnly,
        transform,
        store,
        clock,
        random,
        log,
      })
    })
    this.#reflectors.push(...reflectors)
    this.#running.push(...reflectors.map((reflector) => reflector.run(signal)))
    return reflectors
  }
}
