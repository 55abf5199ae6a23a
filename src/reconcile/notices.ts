import type { ObjectKey } from '../kubernetes/types.ts'
import type { Log } from '../lib/log.ts'

const texts = {
  oldCrd: 'the API server prunes fields of the status: apply the CRD of this version',
  otherOperator:
    'another operator writes the status of this resource: run one operator, or give each resources of its own',
} as const

/** Warnings about the installation, each of them logged once in the life of the process. */
export class Notices {
  readonly #log: Log
  /** Bound: the keys of `texts`. */
  readonly #given = new Set<keyof typeof texts>()

  constructor(log: Log) {
    this.#log = log
  }

  /** @param credential the first resource that shows it */
  give(notice: keyof typeof texts, credential: ObjectKey): void {
    if (this.#given.has(notice)) return
    this.#given.add(notice)
    this.#log.warn({ credential }, texts[notice])
  }
}
