import type { Store } from '../kubernetes/store.ts'
import type { ObjectKey } from '../kubernetes/types.ts'
import type { Clock } from '../lib/clock.ts'
import { sourceRefs } from '../observed/observed.ts'
import type { StoredCredential } from './stored.ts'

export interface AwaitedConfigMapsOptions {
  readonly credentials: Store<StoredCredential>
  readonly clock: Pick<Clock, 'now'>
  /** Resolves when ConfigMaps are watched and known; called when a credential first names one. */
  readonly synced: () => Promise<void>
  /** They are known: these were looked at without. */
  readonly onKnown: (keys: Iterable<ObjectKey>) => void
}

/**
 * ConfigMaps are watched from when a stored credential first names one, also while another replica leads. Nobody waits
 * for that, since the API server may refuse it for ever: whoever needs one is looked at again when they are known.
 */
export class AwaitedConfigMaps {
  readonly #options: AwaitedConfigMapsOptions
  #since: number | undefined
  #areKnown = false

  constructor(options: AwaitedConfigMapsOptions) {
    this.#options = options
    const { credentials } = options
    credentials.subscribe((key) => {
      const credential = credentials.get(key)
      if (this.#since === undefined && credential !== undefined && needsConfigMap(credential)) this.#begin()
    })
  }

  /** Since when this credential waits for ConfigMaps to be known, steady; undefined: it does not. */
  awaitedSince(credential: StoredCredential): number | undefined {
    return this.#areKnown || !needsConfigMap(credential) ? undefined : this.#since
  }

  #begin(): void {
    const { clock, credentials, onKnown, synced } = this.#options
    this.#since = clock.now()
    void synced().then(() => {
      this.#areKnown = true
      onKnown([...credentials.values()].filter(needsConfigMap).map(({ key }) => key))
    })
  }
}

function needsConfigMap({ isDeleting, spec }: StoredCredential): boolean {
  return spec !== undefined && !isDeleting && sourceRefs(spec).some(({ kind }) => kind === 'ConfigMap')
}
