import { type KubernetesClient, type KubernetesObject, type ResourceType } from '../../src/kubernetes/types.ts'

/** One version of an object, as a watch has it. */
export interface ObjectVersion<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly object: T
  /** When it arrived, ms on the monotonic clock. */
  readonly atMs: number
}

export interface VersionLogOptions<T> {
  readonly client: Pick<KubernetesClient, 'list' | 'watch'>
  readonly type: ResourceType
  readonly namespace: string
  /** Called for each version, in their order. */
  readonly onVersion?: (version: ObjectVersion<T>) => void
}

/** Every version that the objects of a namespace have from now on, by name. */
export class VersionLog<T extends KubernetesObject> {
  readonly #options: VersionLogOptions<T>
  readonly #versions = new Map<string, ObjectVersion<T>[]>()
  readonly #end = new AbortController()
  #ended: Promise<void> = Promise.resolve()

  private constructor(options: VersionLogOptions<T>) {
    this.#options = options
  }

  static async start<T extends KubernetesObject>(options: VersionLogOptions<T>): Promise<VersionLog<T>> {
    const log = new VersionLog<T>(options)
    const { metadata } = await options.client.list<T>(options.type, options.namespace)
    log.#ended = log.#watch(metadata.resourceVersion ?? '')
    return log
  }

  of(name: string): readonly ObjectVersion<T>[] {
    return this.#versions.get(name) ?? []
  }

  /** @throws where the watch has failed before */
  async stop(): Promise<void> {
    this.#end.abort()
    await this.#ended
  }

  async #watch(resourceVersion: string): Promise<void> {
    const { client, namespace, onVersion, type: resource } = this.#options
    const { signal } = this.#end
    try {
      const options = { resourceVersion, timeoutSeconds: 600, signal }
      for await (const { type, object } of client.watch<T>(resource, namespace, options)) {
        if (type === 'BOOKMARK' || type === 'ERROR') continue
        const version = { type, object, atMs: performance.now() }
        const { name = '' } = object.metadata
        this.#versions.set(name, [...this.of(name), version])
        onVersion?.(version)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }
}
