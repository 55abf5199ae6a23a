import type { ObjectKey } from '../kubernetes/types.ts'
import type { Clock } from '../lib/clock.ts'
import { type Credential, sourceRefs } from './observed.ts'

export interface AwaitedConfigMapsOptions {
  readonly clock: Pick<Clock, 'now'>
  /** Resolves when ConfigMaps are watched and known; called when a credential first names one. */
  readonly synced: () => Promise<void>
  /** They are known: these were looked at without. */
  readonly onKnown: (keys: Iterable<ObjectKey>) => void
}

/**
 * ConfigMaps are watched from when a credential first names one. Nobody waits for that, since the API server may refuse
 * it for ever: whoever needs one is looked at again when they are known.
 */
export class AwaitedConfigMaps {
  readonly #options: AwaitedConfigMapsOptions
  readonly #keys = new Set<ObjectKey>()
  #since: number | undefined
  #areKnown = false

  constructor(options: AwaitedConfigMapsOptions) {
    this.#options = options
  }

  /** Since when this credential waits for ConfigMaps to be known, steady; undefined: it does not. */
  awaitedSince({ isDeleting, key, spec }: Credential): number | undefined {
    if (this.#areKnown || isDeleting || !sourceRefs(spec).some(({ kind }) => kind === 'ConfigMap')) return undefined
    this.#keys.add(key)
    this.#since ??= this.#begin()
    return this.#since
  }

  #begin(): number {
    const { clock, onKnown, synced } = this.#options
    void synced().then(() => {
      this.#areKnown = true
      onKnown(this.#keys)
      this.#keys.clear()
    })
    return clock.now()
  }
}
