import type { Observed } from '../observe/observed.ts'
import type { Plan } from '../plan/actions.ts'
import { plan } from '../plan/plan.ts'

/** One observation and the plan for it. */
export interface Iteration {
  readonly observed: Observed
  readonly planned: Plan
}

export interface ConvergeSteps {
  /** Undefined: the resource is gone, or its spec is not valid any more. */
  readonly observe: () => Observed | undefined
  /** Monotonic clock, ms. */
  readonly now: () => number
  /** Ends early, with actions left; called for plans that have some. */
  readonly shouldYield?: (iteration: Iteration) => boolean
  readonly execute: (iteration: Iteration) => Promise<void>
}

/** Far more than any plan takes. */
export const maxIterations = 24

/**
 * Observes, plans and executes until a plan has no actions.
 *
 * @returns the last iteration; undefined when there is nothing to observe any more
 * @throws when the plans have not become empty after `maxIterations`
 */
export async function converge({ execute, now, observe, shouldYield }: ConvergeSteps): Promise<Iteration | undefined> {
  for (let iterations = 0; iterations < maxIterations; iterations++) {
    const observed = observe()
    if (observed === undefined) return undefined
    const iteration = { observed, planned: plan(observed, now()) }
    if (iteration.planned.actions.length === 0 || shouldYield?.(iteration) === true) return iteration
    await execute(iteration)
  }
  throw new Error(`did not converge in ${maxIterations} iterations`)
}
