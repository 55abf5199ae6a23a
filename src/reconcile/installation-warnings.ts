import type { ObjectKey } from '../kubernetes/types.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { CredentialState } from '../observe/credential-state.ts'
import type { Observed } from '../observe/observed.ts'
import { isFinalizerContested } from '../observe/own-writes.ts'
import { isWrittenElsewhere } from '../status/shared-status.ts'

const texts = {
  oldCrd: 'the API server prunes fields of the status: apply the CRD of this version',
  otherOperator:
    'another operator writes the status of this resource: run one operator, or give each resources of its own',
  finalizerContested: 'another client keeps changing the finalizer of this resource: it is corrected ever less often',
} as const

const intervalMs = 60 * 60_000

/** Warnings about the installation, each of them logged at most once an hour, however many resources show it. */
export class InstallationWarnings {
  readonly #log: Log
  readonly #clock: Pick<Clock, 'now'>
  /** Monotonic clock. Bound: the keys of `texts`. */
  readonly #warnedAt = new Map<keyof typeof texts, number>()

  constructor({ clock, log }: { readonly log: Log; readonly clock: Pick<Clock, 'now'> }) {
    this.#log = log
    this.#clock = clock
  }

  /**
   * Logs the warnings that a credential shows.
   *
   * @returns whether its status is due once more: the other operator may agree with each status that this one writes
   * first, and would never see that it is not alone
   */
  review(state: CredentialState, observed: Observed): boolean {
    const { key } = observed.credential
    if (state.prunedStatus !== undefined) this.#warn('oldCrd', key)
    if (isFinalizerContested(observed, this.#clock.now())) this.#warn('finalizerContested', key)
    if (!isWrittenElsewhere(observed) || !this.#warn('otherOperator', key)) return false
    state.isStatusDue = true
    return true
  }

  /** @returns whether it was logged */
  #warn(warning: keyof typeof texts, credential: ObjectKey): boolean {
    const now = this.#clock.now()
    if (now - (this.#warnedAt.get(warning) ?? Number.NEGATIVE_INFINITY) < intervalMs) return false
    this.#warnedAt.set(warning, now)
    this.#log.warn({ credential }, texts[warning])
    return true
  }
}
