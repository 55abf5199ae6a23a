import { Reflector } from '../kubernetes/reflector.ts'
import type { Store, Stored } from '../kubernetes/store.ts'
import {
  configMaps,
  credentials,
  type KubernetesClient,
  type KubernetesObject,
  type ResourceType,
  secrets,
} from '../kubernetes/types.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import type { Caches } from './caches.ts'
import { parseCredential, parseIdentity, parseMetadata } from './parse-object.ts'

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
type AnyReflector = Pick<
  Reflector<KubernetesObject, Stored>,
  'resource' | 'refused' | 'synced' | 'run' | 'lastContactAt' | 'lastProgressAt'
>

/** The watched state of one namespace, or of all. */
interface WatchedType<S extends Stored> {
  readonly type: ResourceType
  readonly store: Store<S>
  readonly transform: (object: KubernetesObject) => S
  readonly metadataOnly?: boolean
  readonly labelSelector?: string | undefined
}

interface Scope {
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined
  isComplete: boolean
  isRefused: boolean
  /** Resolves when it is complete. */
  readonly complete: Promise<void>
  /** Resolves when it is complete, or when the API server has refused it. */
  readonly decided: Promise<void>
  configMaps: Promise<void> | undefined
}

/**
 * Keeps the caches in sync with the API server: a reflector for each kind and namespace; metadata only for Secrets. The
 * credentials of a namespace are watched after its Secrets are synced: before, all their Secrets would seem missing. With
 * a label selector the metadata of all credentials is synced before the selected ones: before, the credentials of other
 * operators would seem deleted, and what they hold would seem left behind.
 */
export class Watches {
  readonly #options: WatchesOptions
  #signal: AbortSignal | undefined
  /** One for each watched namespace, or one for all. */
  #scopes: readonly Scope[] = []
  /** At most four for each scope: of Secrets, ConfigMaps, credentials, and with a selector of all credentials. */
  readonly #reflectors: AnyReflector[] = []
  /** One for each reflector. */
  readonly #running: Promise<void>[] = []

  constructor(options: WatchesOptions) {
    this.#options = options
  }

  /** Starts watching, until the signal aborts. */
  start(signal: AbortSignal): void {
    this.#signal = signal
    const { namespaces } = this.#options
    this.#scopes = (namespaces.length === 0 ? [undefined] : namespaces).map((namespace) => this.#follow(namespace))
  }

  /** Whether workers can start: everything is synced, except those of several namespaces that the API server refuses. */
  hasSynced(): boolean {
    const isOneOfSeveral = this.#scopes.length > 1
    return (
      this.#scopes.some(({ isComplete }) => isComplete) &&
      this.#scopes.every(({ isComplete, isRefused }) => isComplete || (isOneOfSeveral && isRefused))
    )
  }

  /** Resolves when workers can start. */
  async synced(): Promise<void> {
    await Promise.all(this.#scopes.map(({ decided }) => decided))
    await Promise.race(this.#scopes.map(({ complete }) => complete))
  }

  /** The namespaces that the API server refuses; they are watched once it no longer does. */
  refused(): string[] {
    return this.#scopes.flatMap(({ isComplete, isRefused, namespace }) =>
      isRefused && !isComplete && namespace !== undefined ? [namespace] : [],
    )
  }

  /** Resolves when the ConfigMaps of a namespace are synced; the first call starts to watch them. */
  async configMapsSynced(namespace: string): Promise<void> {
    const scope = this.#scopes.find((one) => one.namespace === undefined || one.namespace === namespace)
    if (scope === undefined) throw new Error(`namespace ${namespace} is not watched`)
    scope.configMaps ??= this.#watch(scope, {
      type: configMaps,
      store: this.#options.caches.configMaps,
      transform: parseMetadata,
      metadataOnly: true,
    }).synced()
    await scope.configMaps
  }

  /** Last progress of the watch that has stood still for longest, monotonic clock. */
  get oldestProgressAt(): number {
    return Math.min(...this.#reflectors.map((reflector) => reflector.lastProgressAt))
  }

  /** The last contact of each watch, ms, wall clock. */
  lastContacts(): { readonly resource: string; readonly lastContactAtWall: number }[] {
    const { clock } = this.#options
    const wallOffset = clock.wall() - clock.now()
    return this.#reflectors.map(({ lastContactAt, resource }) => {
      return { resource, lastContactAtWall: lastContactAt + wallOffset }
    })
  }

  /** Resolves when all watches have ended, after the signal aborted. */
  async ended(): Promise<void> {
    await Promise.all(this.#running)
  }

  #follow(namespace: string | undefined): Scope {
    const { caches } = this.#options
    const complete = Promise.withResolvers<undefined>()
    const refused = Promise.withResolvers<undefined>()
    const scope: Scope = {
      namespace,
      isComplete: false,
      isRefused: false,
      complete: complete.promise,
      decided: Promise.race([complete.promise, refused.promise]),
      configMaps: undefined,
    }
    const require = async (reflector: AnyReflector): Promise<void> => {
      void reflector.refused().then(() => {
        scope.isRefused = true
        refused.resolve(undefined)
      })
      await reflector.synced()
    }
    const follow = async (): Promise<void> => {
      await require(
        this.#watch(scope, { type: secrets, store: caches.secrets, transform: parseMetadata, metadataOnly: true }),
      )
      if (caches.everyCredential !== undefined) {
        const store = caches.everyCredential
        await require(this.#watch(scope, { type: credentials, store, transform: parseIdentity, metadataOnly: true }))
      }
      await require(
        this.#watch(scope, {
          type: credentials,
          store: caches.credentials,
          transform: parseCredential,
          labelSelector: caches.selector?.text,
        }),
      )
      scope.isComplete = true
      complete.resolve(undefined)
    }
    void follow()
    return scope
  }

  #watch<S extends Stored>(
    { namespace }: Pick<Scope, 'namespace'>,
    { labelSelector, metadataOnly = false, store, transform, type }: WatchedType<S>,
  ): AnyReflector {
    const { client, clock, log, random } = this.#options
    const signal = this.#signal
    if (signal === undefined) throw new Error('the watches are not started')
    const reflector = new Reflector<KubernetesObject, S>({
      client,
      type,
      namespace,
      metadataOnly,
      labelSelector,
      transform,
      store,
      clock,
      random,
      log,
    })
    this.#reflectors.push(reflector)
    this.#running.push(reflector.run(signal))
    return reflector
  }
}
