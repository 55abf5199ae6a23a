import type { ObjectKey } from '../kubernetes/types.ts'
import type { Clock } from '../lib/clock.ts'
import { type CredentialState, newState, partsOfSpec, recordTarget } from './credential-state.ts'
import type { Credential, TargetToken } from './observed.ts'

/** A token that expired by a jump counts as valid for so long: get may show that only a clock was corrected. */
const confirmationMs = 10_000

/** The states of all credentials that this process has reconciled. Bound: a state ends with its credential. */
export class CredentialStates {
  readonly #clock: Pick<Clock, 'now' | 'wall'>
  readonly #states = new Map<ObjectKey, CredentialState>()

  constructor(clock: Pick<Clock, 'now' | 'wall'>) {
    this.#clock = clock
  }

  get(key: ObjectKey): CredentialState | undefined {
    return this.#states.get(key)
  }

  /** Whether another credential had this name when it was last reconciled. */
  isReplaced({ key, uid }: Credential): boolean {
    const known = this.#states.get(key)
    return known !== undefined && known.uid !== uid
  }

  /** The state of a credential, with the templates of its present generation; a new one for a new uid. */
  of(credential: Credential): CredentialState {
    const known = this.#states.get(credential.key)
    if (known?.uid !== credential.uid) {
      const now = this.#clock.now()
      const state = newState(credential, now, this.#clock.wall() - now)
      this.#states.set(credential.key, state)
      return state
    }
    if (known.generation !== credential.generation) {
      known.generation = credential.generation
      Object.assign(known, partsOfSpec(credential))
      const names = new Set(credential.spec.targets.map(({ name }) => name))
      for (const byTarget of [known.contests, known.alterations]) {
        for (const name of byTarget.keys()) if (!names.has(name)) byTarget.delete(name)
      }
    }
    return known
  }

  /** The wall clock jumped ahead of the monotonic clock: the tokens on targets expire earlier on the monotonic one. */
  onClockJump(jumpMs: number): void {
    const now = this.#clock.now()
    for (const { record } of this.#states.values()) {
      for (const target of record.values()) {
        const token = target.token === undefined ? undefined : afterClockJump(target.token, jumpMs, now)
        recordTarget(record, { ...target, token })
      }
    }
  }

  delete(key: ObjectKey): void {
    this.#states.delete(key)
  }
}

function afterClockJump(token: TargetToken, jumpMs: number, now: number): TargetToken {
  const expiresAt = token.expiresAt - jumpMs
  const isExpiredByJump = now < token.expiresAt && now >= expiresAt
  return { ...token, expiresAt, ...(isExpiredByJump ? { unconfirmedUntil: now + confirmationMs } : {}) }
}
