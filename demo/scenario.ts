import { type Clock, sleep } from '../src/lib/clock.ts'

/** What the scenario does to the world, and what it sees of it. */
export interface Stage {
  /** Overwrites the token of a target with another text. */
  overwrite(target: string): Promise<void>
  /** Deletes the Secret of a target. */
  remove(target: string): Promise<void>
  /** Whether the target exists and holds a valid token, by the API server and the gateway. */
  isWhole(target: string, signal: AbortSignal): Promise<boolean>
  setOutage(isOut: boolean): Promise<void>
  /** The shortest life that a target's token has left, in ms; 0 where a target has none. */
  minLifeMs(): number
  /** Calls that the gateway has had. */
  calls(): number
  /** The demo is about to spoil this target; or it is repaired, or should have been. */
  excuse(target: string): void
  endExcuse(target: string): void
  tell(kind: HappeningKind, text: string): void
}

export type HappeningKind = 'news' | 'fault' | 'recovery'

/** Something that the demo did. Durations in ms; undefined where it was not made good in time. */
export type Incident =
  | {
      readonly kind: 'tampering'
      readonly target: string
      /** In words, like `deleted`. */
      readonly what: string
      readonly repairedAfterMs: number | undefined
      /** Calls to the gateway meanwhile. */
      readonly calls: number
    }
  | { readonly kind: 'outage'; readonly durationMs: number; readonly recoveredAfterMs: number | undefined }

export interface ScenarioOptions {
  readonly clock: Clock
  readonly stage: Stage
  /** The faults are spread over so long. */
  readonly durationMs: number
  readonly renewalWindowMs: number
  /** The targets that are overwritten, deleted while the gateway is away, and deleted; in this order. */
  readonly victims: readonly [string, string, string]
  readonly onIncident: (incident: Incident) => void
}

/** In less, the first renewal would not come. */
export const shortestMs = 20_000
/** Shorter than the window in which a token is renewed, so that no token may run out in it. */
export const outageMs = 6000
const repairLimitMs = 5000
const recoveryLimitMs = 8000
/** The outage begins so long before a renewal is due, to be there when it comes. */
const outageLeadMs = 2000
const pollMs = 10

/** Plays the faults once. Rejects when the signal aborts, or with what the stage rejects with. */
export async function playScenario(options: ScenarioOptions, signal: AbortSignal): Promise<void> {
  const { clock, durationMs, stage, victims } = options
  const startAt = clock.now()
  const until = (share: number): Promise<void> =>
    sleep(clock, Math.max(0, startAt + share * durationMs - clock.now()), signal)

  await until(0.15)
  await tamper(options, victims[0], 'overwritten by hand', () => stage.overwrite(victims[0]), signal)
  await until(0.3)
  await outage(options, victims[1], signal)
  await until(0.8)
  await tamper(options, victims[2], 'deleted by hand', () => stage.remove(victims[2]), signal)
  await until(1)
}

async function outage(options: ScenarioOptions, victim: string, signal: AbortSignal): Promise<void> {
  const { clock, onIncident, renewalWindowMs, stage } = options
  await poll(options, signal, Infinity, () => {
    const untilRenewalMs = stage.minLifeMs() - renewalWindowMs
    return untilRenewalMs > 0 && untilRenewalMs <= outageLeadMs + 0.1 * renewalWindowMs
  })
  const startAt = clock.now()
  await stage.setOutage(true)
  stage.tell('fault', `the gateway is gone, for ${outageMs / 1000} s`)
  await sleep(clock, outageMs / 2, signal)
  await tamper(options, victim, 'deleted by hand during the outage', () => stage.remove(victim), signal)
  await sleep(clock, Math.max(0, startAt + outageMs - clock.now()), signal)
  const lifeLeftMs = stage.minLifeMs()
  await stage.setOutage(false)
  stage.tell('news', `the gateway is back; the oldest token has ${seconds(lifeLeftMs)} s left`)
  // Outside of the window again means: renewed.
  const recoveredAfterMs = await poll(options, signal, recoveryLimitMs, () => stage.minLifeMs() > renewalWindowMs)
  if (recoveredAfterMs === undefined) {
    stage.tell('fault', `not all tokens are renewed ${recoveryLimitMs / 1000} s after the outage`)
  } else {
    stage.tell('recovery', `recovered ${seconds(recoveredAfterMs)} s after the gateway came back`)
  }
  onIncident({ kind: 'outage', durationMs: outageMs, recoveredAfterMs })
}

async function tamper(
  options: ScenarioOptions,
  target: string,
  what: string,
  attack: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { clock, onIncident, stage } = options
  const callsBefore = stage.calls()
  const startAt = clock.now()
  stage.excuse(target)
  await attack()
  stage.tell('fault', `${target}: ${what}`)
  const isWhole = await poll(options, signal, repairLimitMs, () => stage.isWhole(target, signal))
  const repairedAfterMs = isWhole === undefined ? undefined : clock.now() - startAt
  const calls = stage.calls() - callsBefore
  stage.endExcuse(target)
  if (repairedAfterMs === undefined) {
    stage.tell('fault', `${target}: not repaired within ${repairLimitMs / 1000} s`)
  } else {
    stage.tell('recovery', `${target}: repaired after ${Math.round(repairedAfterMs)} ms, ${inCalls(calls)}`)
  }
  onIncident({ kind: 'tampering', target, what, repairedAfterMs, calls })
}

/** @returns after how many ms the condition was true, or undefined when it was not within the limit */
async function poll(
  { clock }: ScenarioOptions,
  signal: AbortSignal,
  limitMs: number,
  condition: () => boolean | Promise<boolean>,
): Promise<number | undefined> {
  const startAt = clock.now()
  while (!(await condition())) {
    if (clock.now() - startAt > limitMs) return undefined
    await sleep(clock, pollMs, signal)
  }
  return clock.now() - startAt
}

/** Like `without a call to the gateway`. */
export function inCalls(count: number): string {
  if (count === 0) return 'without a call to the gateway'
  return `with ${count} ${count === 1 ? 'call' : 'calls'} to the gateway`
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1)
}
