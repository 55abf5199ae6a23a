import { formatTime } from '../../lib/time.ts'

export type ConditionStatus = 'True' | 'False' | 'Unknown'

/** As metav1.Condition. */
export interface Condition {
  readonly type: string
  readonly status: ConditionStatus
  readonly reason: string
  readonly message: string
  readonly observedGeneration?: number | undefined
  /** RFC 3339; time of the last change of `status`. */
  readonly lastTransitionTime: string
}

/** Returns the conditions with `next` set. Its lastTransitionTime changes only with its status. */
export function setCondition(
  conditions: readonly Condition[],
  next: Omit<Condition, 'lastTransitionTime'>,
  nowWallMs: number,
): Condition[] {
  const present = conditions.find((condition) => condition.type === next.type)
  const lastTransitionTime =
    present !== undefined && present.status === next.status ? present.lastTransitionTime : formatTime(nowWallMs)
  const updated: Condition = { ...next, lastTransitionTime }
  return present === undefined
    ? [...conditions, updated]
    : conditions.map((condition) => (condition === present ? updated : condition))
}
