import type { Random } from './random.ts'

export interface Backoff {
  /** Delay after the first failure. */
  readonly baseMs: number
  readonly capMs: number
}

/**
 * The delay after `failures` consecutive failures: doubled with each, capped, less a jitter of up to a quarter.
 *
 * @param failures less than 1 counts as 1
 */
export function backoffMs({ baseMs, capMs }: Backoff, failures: number, random: Random): number {
  // The bounded exponent keeps a thousand failures from becoming Infinity.
  const delayMs = Math.min(capMs, baseMs * 2 ** Math.min(Math.max(failures - 1, 0), 30))
  return delayMs * (1 - 0.25 * random())
}
