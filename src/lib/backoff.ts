import type { Random } from './random.ts'

export interface Backoff {
  /** Delay after the first failure. */
  readonly baseMs: number
  readonly capMs: number
}

/** The delay after so many consecutive failures (1 or more): doubled each time, capped, less up to a quarter of jitter. */
export function backoffMs({ baseMs, capMs }: Backoff, failures: number, random: Random): number {
  // The exponent is bounded, so that a thousand failures are no infinity.
  const delayMs = Math.min(capMs, baseMs * 2 ** Math.min(Math.max(failures - 1, 0), 30))
  return delayMs * (1 - 0.25 * random())
}
