import type { Store } from '../kubernetes/store.ts'
import { type ObjectKey, refOf } from '../kubernetes/types.ts'
import type { Clock } from '../lib/clock.ts'
import type { StoredCredential } from './parse-object.ts'

export interface AwaitedConfigMapsOptions {
  readonly credentials: Store<StoredCredential>
  readonly clock: Pick<Clock, 'now'>
  /** Resolves when the ConfigMaps of a namespace are synced; called when a credential there first names one. */
  readonly synced: (namespace: string) => Promise<void>
  /** Called with the credentials that were reconciled before the sync. */
  readonly onKnown: (keys: Iterable<ObjectKey>) => void
}

/**
 * The ConfigMaps of a namespace are watched once a credential there names one, also while another replica leads. No
 * worker waits for the sync, which the API server may refuse for ever: the credentials are enqueued when it is done.
 */
export class AwaitedConfigMaps {
  readonly #options: AwaitedConfigMapsOptions
  /** By namespace; undefined once synced. Bound: the namespaces that have a credential with a ConfigMap. */
  readonly #since = new Map<string, number | undefined>()

  constructor(options: AwaitedConfigMapsOptions) {
    this.#options = options
    const { credentials } = options
    credentials.subscribe((key) => {
      const credential = credentials.get(key)
      if (credential === undefined) this.#prune(refOf(key).namespace)
      else if (needsConfigMap(credential) && !this.#since.has(credential.namespace)) this.#begin(credential.namespace)
    })
  }

  /** Since when this credential waits for ConfigMaps to be synced, monotonic clock; undefined when it does not wait. */
  awaitedSince(credential: StoredCredential): number | undefined {
    return needsConfigMap(credential) ? this.#since.get(credential.namespace) : undefined
  }

  /** How many namespaces are remembered. */
  get size(): number {
    return this.#since.size
  }

  /** Forgets a namespace without a credential that names a ConfigMap. */
  #prune(namespace: string): void {
    const isNeeded = (one: StoredCredential): boolean => one.namespace === namespace && needsConfigMap(one)
    if (this.#since.has(namespace) && ![...this.#options.credentials.values()].some(isNeeded)) {
      this.#since.delete(namespace)
    }
  }

  #begin(namespace: string): void {
    const { clock, credentials, onKnown, synced } = this.#options
    this.#since.set(namespace, clock.now())
    void synced(namespace).then(() => {
      if (this.#since.has(namespace)) this.#since.set(namespace, undefined)
      const waiting = [...credentials.values()].filter((one) => one.namespace === namespace && needsConfigMap(one))
      onKnown(waiting.map(({ key }) => key))
    })
  }
}

function needsConfigMap({ isDeleting, spec }: StoredCredential): boolean {
  return !isDeleting && spec?.gateway.caRef?.kind === 'ConfigMap'
}
