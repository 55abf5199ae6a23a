const minuteMs = 60_000

/**
 * Time allowed for one call: the user's timeout, or a third of the life that is left where that is less, so that a
 * hanging gateway leaves room for another try. With no life left there is nothing to leave room for.
 */
export function callTimeoutMs(timeoutMs: number, lifeLeftMs: number): number {
  return lifeLeftMs <= 0 ? timeoutMs : Math.min(timeoutMs, Math.max(1000, lifeLeftMs / 3))
}

/** Retry-After of a gateway is honoured up to this. */
export const maxRetryAfterMs = 5 * minuteMs

export interface FailedAttempt {
  /** Consecutive ones, the last included. */
  readonly failures: number
  /** Of the held token; 0 or less: there is none, or it has expired. */
  readonly lifeLeftMs: number
  /** Fails until the user changes something. */
  readonly needsUser: boolean
  /** What the gateway asked for. */
  readonly retryAfterMs: number | undefined
}

/**
 * Backoff after a failed attempt. It depends on the life left, so that several attempts fit into any window and an
 * outage of hours is no storm. Without a valid token, a failure that only the user can fix is retried after 10 s,
 * doubling up to 10 minutes: a changed source Secret leads to an attempt at once anyhow.
 *
 * @param random in [0, 1)
 */
export function retryDelayMs({ failures, lifeLeftMs, needsUser, retryAfterMs }: FailedAttempt, random: number): number {
  const [baseMs, maxMs] = needsUser ? [10_000, 10 * minuteMs] : [1000, 30_000]
  const [firstMs, capMs] =
    lifeLeftMs > 0 ? [1000, Math.min(5 * minuteMs, Math.max(1000, lifeLeftMs / 8))] : [baseMs, maxMs]
  const backoffMs = Math.min(capMs, firstMs * 2 ** Math.min(failures - 1, 20))
  const jitteredMs = backoffMs * (0.75 + 0.25 * random)
  // A longer Retry-After would leave no chance to renew.
  const retryAfterCapMs = lifeLeftMs > 0 ? Math.max(1000, lifeLeftMs / 4) : maxRetryAfterMs
  return Math.max(jitteredMs, Math.min(retryAfterMs ?? 0, maxRetryAfterMs, retryAfterCapMs))
}

/**
 * Delay from one probe of a gateway that is down to the next: 1 s, then 2, 3, 4, and 5 s until the outage ends. It is at
 * most a sixteenth of the shortest life left, so that an outage which ends inside a window is noticed inside it, and at
 * least a quarter of a second. Retry-After is honoured up to five minutes and a quarter of that life.
 *
 * @param probes made so far
 * @param minLifeMs the shortest life left of the tokens that wait for renewal; infinite without any
 * @param retryAfterMs the gateway's Retry-After
 */
export function probeDelayMs(probes: number, minLifeMs: number, retryAfterMs: number): number {
  const spacedMs = Math.min(5000, 1000 * (probes + 1), Math.max(250, minLifeMs / 16))
  return Math.max(spacedMs, Math.min(retryAfterMs, maxRetryAfterMs, Math.max(250, minLifeMs / 4)))
}

/** Between two attempts after an outage. */
const maxPaceMs = 10
const minPaceMs = 1

/**
 * The pace of attempts after an outage: one each 10 ms, so that a gateway which has just come back is not overloaded;
 * 10,000 take 100 s, of a usual window of 24 min. It is faster where all of them would take more than two minutes, or
 * one of them more than a quarter of its life left, but never faster than one each millisecond. An expiry that comes
 * sooner even so does not change the pace.
 *
 * @param livesLeftMs in the order of the attempts; 0 or less without a valid token
 */
export function recoveryPaceMs(livesLeftMs: readonly number[]): number {
  let paceMs = Math.min(maxPaceMs, (2 * minuteMs) / Math.max(1, livesLeftMs.length))
  for (const [before, lifeLeftMs] of livesLeftMs.entries()) {
    const canBeKept = lifeLeftMs > (before + 1) * minPaceMs
    if (canBeKept) paceMs = Math.min(paceMs, lifeLeftMs / 4 / (before + 1))
  }
  return Math.max(minPaceMs, paceMs)
}

/** A key of the work queue of applications gains one priority for each such time that it waits. */
export const msPerPriority = 2000

/**
 * Priority in the work queue: one less for each two seconds of life left. The queue adds as much for waiting, so that
 * applications are picked up in the order of expiry, whenever each became due. Without a valid token, the moment of
 * becoming due counts as the expiry: such an application comes before all with life left, first come, first served.
 *
 * @param lifeLeftMs at the moment of becoming due
 */
export function priorityOf(lifeLeftMs: number): number {
  return lifeLeftMs > 0 ? -lifeLeftMs / msPerPriority : 0
}
