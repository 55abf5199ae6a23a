import type { Log } from '../lib/log.ts'
import type { Caches } from '../observe/caches.ts'
import type { StoredCredential } from '../observe/parse-object.ts'
import { lateRetentions, ownershipChange } from '../plan/deletion-policy-check.ts'
import type { TargetWriter } from '../targets/target-writer.ts'

export interface LateRetentionOptions {
  readonly caches: Pick<Caches, 'credentials' | 'secrets'>
  readonly writer: Pick<TargetWriter, 'get' | 'patchMetadata'>
  readonly log: Log
}

/** Secrets that are retained at the same time; the garbage collector has the others before their turn. */
const maxInFlight = 100

/**
 * Retains Secrets of resources that were deleted in the moment of the edit to Retain, before a reconcile could apply it.
 * It is a race with the garbage collector, which a lost Secret ends.
 */
export class LateRetention {
  readonly #options: LateRetentionOptions
  readonly #aborter = new AbortController()
  /** At most `maxInFlight`. */
  readonly #inFlight = new Set<Promise<void>>()
  #isRunning = false

  constructor(options: LateRetentionOptions) {
    this.#options = options
    options.caches.credentials.onRemoval((removed) => {
      if (this.#isRunning) this.#retainAll(removed)
    })
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  /** Until then another replica, which leads, retains them. */
  run(): void {
    this.#isRunning = true
  }

  /** Resolves when nothing is in flight any more. */
  async shutDown(): Promise<void> {
    this.#isRunning = false
    this.#aborter.abort()
    await Promise.all(this.#inFlight)
  }

  #retainAll(removed: StoredCredential): void {
    for (const name of lateRetentions(removed, this.#options.caches.secrets)) {
      if (this.#inFlight.size >= maxInFlight) return
      const running = this.#retain(removed, name).finally(() => this.#inFlight.delete(running))
      this.#inFlight.add(running)
    }
  }

  async #retain(removed: StoredCredential, name: string): Promise<void> {
    const { log } = this.#options
    const fields = { credential: removed.key, target: name }
    const outcome = await this.#write(removed, name).catch((error: unknown) => ({ error }))
    if (outcome === true) {
      log.info(fields, 'Secret retained after the deletion of its resource')
    } else {
      log.warn(
        { ...fields, ...(outcome === false ? {} : { err: outcome.error }) },
        'Secret lost with its resource: deletionPolicy Retain came too late',
      )
    }
  }

  /** @returns whether it was written */
  async #write(removed: StoredCredential, name: string): Promise<boolean> {
    const { writer } = this.#options
    const { signal } = this.#aborter
    const ref = { namespace: removed.namespace, name }
    const content = await writer.get(ref, signal)
    const { resourceVersion = '', uid = '' } = content?.metadata ?? {}
    if (content === undefined) return false
    const change = ownershipChange(removed, 'Retain', content)
    const context = { reason: 'OwnershipChanged', signal } as const
    const result = await writer.patchMetadata({ ...ref, uid, resourceVersion }, change, context)
    if (result.kind === 'failed') throw result.error
    return result.kind === 'written'
  }
}
