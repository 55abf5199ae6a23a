import type { ObjectKey } from '../kubernetes/types.ts'
import type { Clock } from '../lib/clock.ts'
import { compileAll, type CredentialState, newState } from './credential-state.ts'
import type { Credential } from './observed.ts'

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
      Object.assign(known, compileAll(credential))
    }
    return known
  }

  delete(key: ObjectKey): void {
    this.#states.delete(key)
  }
}
