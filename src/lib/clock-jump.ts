import type { Clock, Timer } from './clock.ts'

/** A smaller step of the wall clock is left to tolerances: no deadline is that exact. */
const minJumpMs = 5000
const checkIntervalMs = 1000

/**
 * By how much the wall clock jumped ahead of the monotonic clock, in ms; 0 for 5 s or less, and for a step back.
 *
 * The machine slept, or the virtual machine was paused: the monotonic clock stands still in a suspend, but tokens
 * expire. A corrected wall clock looks the same.
 *
 * @param previousOffset wall clock less monotonic clock, earlier
 * @param presentOffset the same, now
 */
export function clockJumpMs(previousOffset: number, presentOffset: number): number {
  const jumpMs = presentOffset - previousOffset
  return jumpMs > minJumpMs ? jumpMs : 0
}

export function wallOffsetOf(clock: Clock): number {
  return clock.wall() - clock.now()
}

/** Watches for jumps of the wall clock ahead of the monotonic clock, once a second. */
export class ClockJumpWatch {
  readonly #clock: Clock
  readonly #onJump: (jumpMs: number) => void
  /** Wall clock less monotonic clock at the last jump, or lower after a step back: small steps add up. */
  #offset: number
  #timer: Timer | undefined

  /** @param onJump called with the jump in ms, more than 5 s */
  constructor(clock: Clock, onJump: (jumpMs: number) => void) {
    this.#clock = clock
    this.#onJump = onJump
    this.#offset = wallOffsetOf(clock)
  }

  start(): void {
    this.#timer?.cancel()
    this.#timer = this.#clock.setTimer(checkIntervalMs, () => {
      this.start()
      this.check()
    })
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** Looks for a jump since the last check. */
  check(): void {
    const offset = wallOffsetOf(this.#clock)
    const jumpMs = clockJumpMs(this.#offset, offset)
    this.#offset = jumpMs > 0 ? offset : Math.min(this.#offset, offset)
    if (jumpMs > 0) this.#onJump(jumpMs)
  }
}
