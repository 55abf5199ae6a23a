import type { Reason } from './reasons.ts'

/**
 * Why something could not be done. Classified once, where the fault is seen: `userMustAct` becomes Stalled, `waiting`
 * and `retry` become Reconciling. `message` names the object, the field, the value seen and the value expected, and
 * holds no secret.
 */
export interface Problem {
  readonly class: 'userMustAct' | 'waiting' | 'retry'
  readonly reason: Reason
  readonly message: string
  /** Of a target: how the message goes on after the names where several targets have this problem. */
  readonly ofMany?: string
  /** The API server answered a change of ownership with 403: waiting for a deletion to get that right may never end. */
  readonly isForbidden?: true
}
