/** A timer that was set; cancelling one that has fired does nothing. */
export interface Timer {
  cancel(): void
}

/**
 * Time, as handed to everything that needs it.
 *
 * `now` is a monotonic clock in milliseconds: it starts at what the wall clock says, then follows the monotonic clock,
 * so it never steps. Deadlines live on it. `wall` is what the wall clock says at this moment; it may step, and serves
 * for what others must agree with: request timestamps and published times.
 */
export interface Clock {
  /** Milliseconds on the monotonic clock. */
  now(): number
  /** Milliseconds since the UNIX epoch, by the wall clock. */
  wall(): number
  /** Calls `callback` once, never before `delayMs` from now (0 for a delay in the past), whatever its length. */
  setTimer(delayMs: number, callback: () => void): Timer
}

/** A JavaScript timer longer than 2^31-1 ms fires at once; longer ones are set again in slices of this. */
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
      handle = setTimeout(wake, Math.min(Math.max(0, Math.ceil(dueAt - this.now())), maxTimerMs))
    }
    // A JavaScript timer may also fire up to a millisecond early; whoever is called then finds nothing due yet.
    const wake = (): void => {
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

/** Resolves after `delayMs`, or rejects with the signal's reason as soon as it aborts. */
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
