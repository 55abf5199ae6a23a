/**
 * Prints a duration of a rule, given in seconds, as PromQL has it. The tests shorten all of them by one factor, so that
 * minutes pass in seconds; as shipped, the factor is 1.
 */
export type Duration = (seconds: number) => string

/** A series that Prometheus computes at each evaluation. */
export interface Recording {
  readonly record: string
  readonly expression: (duration: Duration) => string
}

export interface Alert {
  /** CamelCase, with the prefix `Enos`. Its runbook is `docs/runbooks/<name>.md`. */
  readonly name: string
  readonly expression: (duration: Duration) => string
  /** How long the expression holds before the alert fires, in seconds. */
  readonly forSeconds: number
  /** How long the alert goes on firing after the expression held last, in seconds. */
  readonly keepFiringForSeconds: number
  /** critical: pods have no valid token, or soon will not. warning: a fault that does not heal. info: no harm yet. */
  readonly severity: 'critical' | 'warning' | 'info'
  /** One line, with the name of the object. */
  readonly summary: string
  /** What is seen, and what follows from it. */
  readonly description: string
}

export const minute = 60
export const hour = 60 * minute

/** @param factor 1 as shipped */
export function durationPrinter(factor: number): Duration {
  return (seconds) => {
    const ms = Math.round(seconds * factor * 1000)
    for (const [unit, unitMs] of [
      ['h', 3_600_000],
      ['m', 60_000],
      ['s', 1000],
    ] as const) {
      if (ms % unitMs === 0) return `${ms / unitMs}${unit}`
    }
    return `${ms}ms`
  }
}
