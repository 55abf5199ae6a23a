import { type Operation, operations } from '../enos/operation.ts'
import type { ObjectKey } from '../kubernetes/types.ts'

export type AttemptResult = 'success' | 'error'

const series = operations.flatMap((operation) =>
  (['success', 'error'] as const).map((result) => ({ operation, result })),
)
/** The labels of each count, with a comma before. */
export const renewalLabels = series.map(({ operation, result }) => `,method="${operation}",result="${result}"`)
const noAttempts: readonly number[] = series.map(() => 0)

/** Counts the attempts of each resource. Four numbers a resource: a series of prom-client takes two objects and a text. */
export class RenewalCounts {
  /** The counts in the order of `series`. Only resources with an attempt; bound: `forget` at the end of a resource. */
  readonly #counts = new Map<ObjectKey, number[]>()

  add(key: ObjectKey, operation: Operation, result: AttemptResult): void {
    const at = series.findIndex((one) => one.operation === operation && one.result === result)
    let counts = this.#counts.get(key)
    if (counts === undefined) this.#counts.set(key, (counts = [...noAttempts]))
    counts[at] = (counts[at] ?? 0) + 1
  }

  /** The counts of a resource, in the order of `renewalLabels`. They are 0 before its first attempt. */
  of(key: ObjectKey): readonly number[] {
    return this.#counts.get(key) ?? noAttempts
  }

  forget(key: ObjectKey): void {
    this.#counts.delete(key)
  }
}
