import type { Store } from '../kubernetes/store.ts'
import type { ObjectKey } from '../kubernetes/types.ts'
import type { Clock } from '../lib/clock.ts'
import { sourceRefs } from './observed.ts'
import type { StoredCredential } from './parse-object.ts'

export interface AwaitedConfigMapsOptions {
  readonly credentials: Store<StoredCredential>
  readonly clock: Pick<Clock, 'now'>
  /** Resolves when the ConfigMaps of a namespace are watched and known; called when a credential there first names one. */
  readonly synced: (namespace: string) => Promise<void>
  /** They are known: these were looked at without. */
  readonly onKnown: (keys: Iterable<ObjectKey>) => void
}

/**
 * The ConfigMaps of a namespace are watched from when a credential stored there first names one, also while another replica leads. Nobody waits
 * for that, since the API server may refuse it for ever: whoever needs one is looked at again when they are known.
 */
export class AwaitedConfigMaps {
  readonly #options: AwaitedConfigMapsOptions
  /** By namespace; undefined: they are known. */
  readonly #since = new Map<string, number | undefined>()

  constructor(options: AwaitedConfigMapsOptions) {
    this.#options = options
    const { credentials } = options
    credentials.subscribe((key) => {
      const credential = credentials.get(key)
      if (credential === undefined || !needsConfigMap(credential)) return
      if (!this.#since.has(credential.namespace)) this.#begin(credential.namespace)
    })
  }

  /** Since when this credential waits for ConfigMaps to be known, monotonic clock; undefined: it does not. */
  awaitedSince(credential: StoredCredential): number | undefined {
    return needsConfigMap(credential) ? this.#since.get(credential.namespace) : undefined
  }

  #begin(namespace: string): void {
    const { clock, credentials, onKnown, synced } = this.#options
    this.#since.set(namespace, clock.now())
    void synced(namespace).then(() => {
      this.#since.set(namespace, undefined)
      const waiting = [...credentials.values()].filter((one) => one.namespace === namespace && needsConfigMap(one))
      onKnown(waiting.map(({ key }) => key))
    })
  }
}

function needsConfigMap({ isDeleting, spec }: StoredCredential): boolean {
  return spec !== undefined && !isDeleting && sourceRefs(spec).some(({ kind }) => kind === 'ConfigMap')
}
