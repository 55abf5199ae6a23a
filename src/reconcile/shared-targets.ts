import { type ObjectKey, refOf } from '../kubernetes/types.ts'
import { byConflict, byObject, type Caches } from '../observe/caches.ts'
import type { StoredCredential } from '../observe/parse-object.ts'

/** Finds the other credentials with the same targets: whether they may adopt a Secret depends on each other's. */
export class SharedTargets {
  readonly #credentials: Caches['credentials']
  /** Names of the targets in spec and status, by credential. Bound: an entry ends with its credential. */
  readonly #names = new Map<ObjectKey, string>()

  constructor(credentials: Caches['credentials']) {
    this.#credentials = credentials
  }

  get size(): number {
    return this.#names.size
  }

  /** @returns the other credentials of targets that this one has got or lost since the last call */
  note({ key, spec, status }: StoredCredential): ObjectKey[] {
    const list = (targets: readonly { readonly name: string }[]): string => targets.map(({ name }) => name).join(' ')
    const names = `${list(spec?.targets ?? [])}|${list(status.targets)}`
    const before = this.#names.get(key) ?? ''
    if (names === before) return []
    this.#names.set(key, names)
    return this.#others(key, `${before}|${names}`)
  }

  /** @returns the other credentials of its targets, and those that may have waited for its deletion */
  forget(key: ObjectKey): ObjectKey[] {
    const names = this.#names.get(key) ?? ''
    this.#names.delete(key)
    return [...this.#others(key, names), ...this.awaitingDeletionOf(key).filter((other) => other !== key)]
  }

  /** @returns the credentials that may have waited for what a deleted one held, such as a Secret that left its spec */
  awaitingDeletionOf(key: ObjectKey): ObjectKey[] {
    const waiting = [...this.#credentials.byIndex(byConflict(refOf(key).namespace))]
    // The status of a recreated credential may not name the conflict yet.
    return this.#credentials.get(key) === undefined ? waiting : [key, ...waiting]
  }

  #others(key: ObjectKey, names: string): ObjectKey[] {
    const { namespace } = refOf(key)
    const unique = new Set(names.split(/[ |]/).filter((name) => name !== ''))
    const keys = [...unique].flatMap((name) => [
      ...this.#credentials.byIndex(byObject('Secret', `${namespace}/${name}`)),
    ])
    return keys.filter((other) => other !== key)
  }
}
