/** A pending call. Cancelling one that has fired does nothing. */
export interface Timer {
  cancel(): void
}

/**
 * The source of time, injected by constructor.
 *
 * `now` is a monotonic clock: it starts at the time of the wall clock and never steps, so deadlines are on it. `wall` is
 * the wall clock, which may step; it is for times that other systems compare with their own: timestamps of requests,
 * times in statuses.
 */
export interface Clock {
  /** Milliseconds on the monotonic clock. */
  now(): number
  /** Milliseconds since the UNIX epoch, by the wall clock. */
  wall(): number
  /** Calls `callback` once, never before `delayMs` from now. A negative delay counts as 0; any length works. */
  setTimer(delayMs: number, callback: () => void): Timer
}

/** A JavaScript timer longer than 2^31-1 ms fires at once, so longer delays are set in slices of this length. */
const maxTimerMs = 60 * 60 * 1000

export class SystemClock implements Clock {
  readonly #origin = Date.now() - performance.now()

  now(): number {
    return this.#origin + performance.now()
  }

  wall(): number {
    return Date.now()
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    let handle: NodeJS.Timeout
    const dueAt = this.now() + delayMs
    const arm = (): void => {
      handle = setTimeout(onTimeout, Math.min(Math.max(0, Math.ceil(dueAt - this.now())), maxTimerMs))
    }
    // A JavaScript timer may also fire up to a millisecond early, when nothing is due yet by this clock.
    const onTimeout = (): void => {
      if (this.now() < dueAt) arm()
      else callback()
    }
    arm()
    return {
      cancel: () => {
        clearTimeout(handle)
      },
    }
  }
}

/** Resolves after `delayMs`. Rejects with the signal's reason as soon as the signal aborts. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error)
      return
    }
    const onAbort = (): void => {
      timer.cancel()
      reject(signal?.reason as Error)
    }
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
