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

/**
 * How long to wait after a failed attempt. Spaced by the life that is left, so that several attempts fit into any
 * window and an outage of hours is no storm. Without a valid token, what only the user can mend is asked again after
 * 10 s, then ever later, up to 10 minutes: a source Secret that is mended is seen at once anyhow.
 *
 * @param failures consecutive ones, the last included
 * @param lifeLeftMs of the token that is held; 0 or less: there is none, or it has expired
 * @param random in [0, 1)
 */
export function retryDelayMs(
  failures: number,
  lifeLeftMs: number,
  userMustAct: boolean,
  retryAfterMs: number | undefined,
  random: number,
): number {
  const [baseMs, maxMs] = userMustAct ? [10_000, 10 * minuteMs] : [1000, 30_000]
  const [firstMs, capMs] =
    lifeLeftMs > 0 ? [1000, Math.min(5 * minuteMs, Math.max(1000, lifeLeftMs / 8))] : [baseMs, maxMs]
  const backoffMs = Math.min(capMs, firstMs * 2 ** Math.min(failures - 1, 20))
  const jitteredMs = backoffMs * (0.75 + 0.25 * random)
  // Nor for so much that every chance to renew is lost.
  const retryAfterCapMs = lifeLeftMs > 0 ? Math.max(1000, lifeLeftMs / 4) : maxRetryAfterMs
  return Math.max(jitteredMs, Math.min(retryAfterMs ?? 0, maxRetryAfterMs, retryAfterCapMs))
}

/**
 * How long to wait from one probe of a gateway that is down to the next: 1 s, then 2, 3, 4, and 5 s for as long as it
 * lasts. Never more than a sixteenth of the shortest life left, so that an outage which ends inside a window is noticed
 * inside it; but at least a quarter of a second. Where the gateway asks for patience it has it, up to five minutes and
 * a quarter of that life.
 *
 * @param probes made so far
 * @param minLifeMs of the tokens that wait for renewal; infinite: there is none
 * @param retryAfterMs what the gateway asked for
 */
export function probeDelayMs(probes: number, minLifeMs: number, retryAfterMs: number): number {
  const spacedMs = Math.min(5000, 1000 * (probes + 1), Math.max(250, minLifeMs / 16))
  return Math.max(spacedMs, Math.min(retryAfterMs, maxRetryAfterMs, Math.max(250, minLifeMs / 4)))
}

/** Between two attempts while those that an outage held up come back. */
const maxPaceMs = 10
const minPaceMs = 1

/**
 * The pace at which those that an outage held up make their attempts when it is over: one each 10 ms, so that a gateway
 * which has just come back is not knocked over; 10,000 take 100 s, of a usual window of 24 min. Faster where that would
 * take more than two minutes in all, or anybody more than a quarter of its life left, but never faster than one each
 * millisecond. A deadline that cannot be kept even so hurries nobody.
 *
 * @param livesLeftMs in the order in which they go; 0 or less: no valid token
 */
export function recoveryPaceMs(livesLeftMs: readonly number[]): number {
  let paceMs = Math.min(maxPaceMs, (2 * minuteMs) / Math.max(1, livesLeftMs.length))
  for (const [before, lifeLeftMs] of livesLeftMs.entries()) {
    const canBeKept = lifeLeftMs > (before + 1) * minPaceMs
    if (canBeKept) paceMs = Math.min(paceMs, lifeLeftMs / 4 / (before + 1))
  }
  return Math.max(minPaceMs, paceMs)
}

/** A key of the work queue counts one priority more for each such time that it has waited. */
const msPerPriority = 2000

/**
 * Priority in the work queue: one less for each two seconds of life left. As the queue counts waiting the other way
 * round, who became due at whatever moment is picked up in the order of expiry. Without a valid token, the moment of
 * becoming due counts as the deadline: before all renewals that have life left, and first come, first served.
 *
 * @param lifeLeftMs when it becomes due
 */
export function priorityOf(lifeLeftMs: number): number {
  return lifeLeftMs > 0 ? -lifeLeftMs / msPerPriority : 0
}
