import { type Clock, sleep } from '../src/lib/clock.ts'

/** The actions of the scenario on cluster and gateway, and its observations. */
export interface Stage {
  /** Overwrites the token of a target. */
  readonly overwrite: (target: string) => Promise<void>
  /** Deletes the Secret of a target. */
  readonly remove: (target: string) => Promise<void>
  /** Whether the target exists on the API server and holds a token that the gateway accepts. */
  isWhole(target: string, signal: AbortSignal): Promise<boolean>
  setOutage(isOut: boolean): Promise<void>
  /** The shortest remaining life of a target's token, in ms; 0 where a target has no valid token. */
  minLifeMs(): number
  /** Number of calls that the gateway has received. */
  calls(): number
  /** Marks the target as damaged by the demo, from just before the damage to its repair or its deadline. */
  excuse(target: string): void
  endExcuse(target: string): void
  log(kind: LogKind, text: string): void
}

export type LogKind = 'info' | 'fault' | 'recovery'

/** A fault that the demo played. Durations in ms; undefined where the repair did not come in time. */
export type Incident =
  | {
      readonly kind: 'tampering'
      readonly target: string
      /** Like `deleted by hand`. */
      readonly action: string
      readonly repairedAfterMs: number | undefined
      /** Calls to the gateway between damage and repair. */
      readonly calls: number
    }
  | { readonly kind: 'outage'; readonly durationMs: number; readonly recoveredAfterMs: number | undefined }

export interface ScenarioOptions {
  readonly clock: Clock
  readonly stage: Stage
  /** Duration of the whole scenario. */
  readonly durationMs: number
  readonly renewalWindowMs: number
  /** The targets that are overwritten, deleted during the outage, and deleted; in this order. */
  readonly victims: readonly [string, string, string]
  readonly onIncident: (incident: Incident) => void
}

/** The first renewal comes after half of a token's lifetime, and must fit in. */
export const minDurationMs = 20_000
/** Shorter than the renewal window, so that no token expires during the outage. */
export const outageMs = 6000
const maxRepairMs = 5000
const maxRecoveryMs = 8000
/** The outage begins at most this long before a renewal is due, and covers that renewal. */
const outageLeadMs = 2000
const pollMs = 10

/** Plays the faults once. Rejects when the signal aborts or an action of the stage fails. */
export async function playScenario(options: ScenarioOptions, signal: AbortSignal): Promise<void> {
  const { clock, durationMs, stage, victims } = options
  const startAt = clock.now()
  const until = (share: number): Promise<void> =>
    sleep(clock, Math.max(0, startAt + share * durationMs - clock.now()), signal)

  await until(0.15)
  await tamper(options, { target: victims[0], action: 'overwritten by hand', damage: stage.overwrite }, signal)
  await until(0.3)
  await outage(options, victims[1], signal)
  await until(0.8)
  await tamper(options, { target: victims[2], action: 'deleted by hand', damage: stage.remove }, signal)
  await until(1)
}

async function outage(options: ScenarioOptions, victim: string, signal: AbortSignal): Promise<void> {
  const { clock, onIncident, renewalWindowMs, stage } = options
  await poll(options, { signal, maxMs: Infinity }, () => {
    const untilRenewalMs = stage.minLifeMs() - renewalWindowMs
    return untilRenewalMs > 0 && untilRenewalMs <= outageLeadMs + 0.1 * renewalWindowMs
  })
  const startAt = clock.now()
  await stage.setOutage(true)
  stage.log('fault', `gateway outage of ${outageMs / 1000} s`)
  await sleep(clock, outageMs / 2, signal)
  await tamper(options, { target: victim, action: 'deleted by hand during the outage', damage: stage.remove }, signal)
  await sleep(clock, Math.max(0, startAt + outageMs - clock.now()), signal)
  const lifeLeftMs = stage.minLifeMs()
  await stage.setOutage(false)
  stage.log('info', `the outage ended; the oldest token has ${seconds(lifeLeftMs)} s left`)
  // Outside the renewal window again: the token was renewed.
  const recoveredAfterMs = await poll(
    options,
    { signal, maxMs: maxRecoveryMs },
    () => stage.minLifeMs() > renewalWindowMs,
  )
  if (recoveredAfterMs === undefined) {
    stage.log('fault', `not all tokens renewed within ${maxRecoveryMs / 1000} s after the outage`)
  } else {
    stage.log('recovery', `all tokens renewed ${seconds(recoveredAfterMs)} s after the outage`)
  }
  onIncident({ kind: 'outage', durationMs: outageMs, recoveredAfterMs })
}

interface Tampering {
  readonly target: string
  /** Like `deleted by hand`. */
  readonly action: string
  readonly damage: (target: string) => Promise<void>
}

async function tamper(
  options: ScenarioOptions,
  { action, damage, target }: Tampering,
  signal: AbortSignal,
): Promise<void> {
  const { clock, onIncident, stage } = options
  const callsBefore = stage.calls()
  const startAt = clock.now()
  stage.excuse(target)
  await damage(target)
  stage.log('fault', `${target}: ${action}`)
  const polledMs = await poll(options, { signal, maxMs: maxRepairMs }, () => stage.isWhole(target, signal))
  const repairedAfterMs = polledMs === undefined ? undefined : clock.now() - startAt
  const calls = stage.calls() - callsBefore
  stage.endExcuse(target)
  if (repairedAfterMs === undefined) {
    stage.log('fault', `${target}: not repaired within ${maxRepairMs / 1000} s`)
  } else {
    stage.log('recovery', `${target}: repaired after ${Math.round(repairedAfterMs)} ms, ${describeCalls(calls)}`)
  }
  onIncident({ kind: 'tampering', target, action, repairedAfterMs, calls })
}

/** @returns the time until the condition was true, in ms; undefined after `maxMs` */
async function poll(
  { clock }: ScenarioOptions,
  { maxMs, signal }: { readonly signal: AbortSignal; readonly maxMs: number },
  condition: () => boolean | Promise<boolean>,
): Promise<number | undefined> {
  const startAt = clock.now()
  while (!(await condition())) {
    if (clock.now() - startAt > maxMs) return undefined
    await sleep(clock, pollMs, signal)
  }
  return clock.now() - startAt
}

/** Like `without a call to the gateway`. */
export function describeCalls(count: number): string {
  if (count === 0) return 'without a call to the gateway'
  return `with ${count} ${count === 1 ? 'call' : 'calls'} to the gateway`
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1)
}
