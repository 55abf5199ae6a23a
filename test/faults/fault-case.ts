import { describe, expect, it } from 'vitest'
import { type Access, delay, useHarness } from '../integration/harness.ts'
import { World, type WorldOptions } from './world.ts'

/** A fault, and the behaviour expected of the operator. */
export interface FaultCase {
  /** First cell of a row in docs/reliability.md. */
  readonly name: string
  /** Second cell of that row. */
  readonly expected: string
  readonly world?: WorldOptions
  /** When the fault begins. Default: just before the next renewal. */
  readonly when?: 'renewal' | 'now'
  /** Duration in ms. Default 3000: shorter than the renewal window. */
  readonly holdMs?: number
  /** The fault outlasts the renewal window or kills the token: an expired token is inevitable. */
  readonly mayExpire?: boolean
  /** Refreshes may follow each other closely: the case or the gateway asks for them. */
  readonly mayRefreshAgain?: boolean
  /** From the end of the fault. Default 8000. */
  readonly recoverWithinMs?: number
  readonly begin: (world: World) => unknown
  /** Expectations while the fault lasts. */
  readonly during?: ((world: World) => unknown) | undefined
  readonly end?: (world: World) => unknown
  /** Expectations after recovery. */
  readonly after?: (world: World) => unknown
}

/** The result of a fault: a row of docs/reliability.md. */
export interface Row {
  readonly group: string
  readonly name: string
  readonly expected: string
  readonly mayExpire: boolean
  readonly expiredSeconds: number
  readonly lostOrTouched: number
  readonly duplicateRefreshes: number
  readonly secretsSeen: number
  readonly recoverySeconds: number
}

declare module 'vitest' {
  interface TaskMeta {
    row?: Row
  }
}

const defaults = { holdMs: 3000, recoverWithinMs: 8000 }

export interface PlayOptions {
  /** Default: the shared control plane. */
  readonly access?: () => Promise<Access>
  /** Plays the cases one after the other. Default: concurrently. */
  readonly isSerial?: boolean
}

/** Registers one test for each fault, each with a world of its own. */
export function playFaults(
  group: string,
  cases: readonly FaultCase[],
  { access, isSerial = false }: PlayOptions = {},
): void {
  const harness = useHarness(access)
  describe(group, { concurrent: !isSerial }, () => {
    it.for(cases)('$name', { timeout: 480_000 }, async (fault, { task }) => {
      const world = await World.create(harness(), fault.world)
      const row = await play(group, fault, world)
      task.meta.row = row
      expect(row.secretsSeen, 'secrets in the output').toBe(0)
      expect(row.lostOrTouched, 'Secrets lost, and foreign Secrets touched').toBe(0)
      expect(row.duplicateRefreshes, 'duplicate refreshes').toBe(0)
      if (fault.mayExpire !== true) expect(row.expiredSeconds, 'seconds with an expired token').toBe(0)
    })
  })
}

async function play(group: string, fault: FaultCase, world: World): Promise<Row> {
  const { holdMs = defaults.holdMs, recoverWithinMs = defaults.recoverWithinMs } = fault
  let recoveryMs: number
  let isEnded = false
  const end = async (): Promise<void> => {
    if (isEnded) return
    isEnded = true
    await fault.end?.(world)
  }
  try {
    if (fault.when !== 'now') await world.beforeRenewal()
    const begunAt = performance.now()
    await fault.begin(world)
    await fault.during?.(world)
    await delay(Math.max(0, begunAt + holdMs - performance.now()))
    await end()
    recoveryMs = await world.recovered(recoverWithinMs)
    await fault.after?.(world)
    await world.operator.metrics()
  } catch (error) {
    // A fault left in place would also strike while the world ends.
    await end()
    await world.end()
    throw error
  }
  const output = await world.output()
  const { expiredMs, lost, touched } = await world.end()
  return {
    group,
    name: fault.name,
    expected: fault.expected,
    mayExpire: fault.mayExpire === true,
    expiredSeconds: expiredMs / 1000,
    lostOrTouched: lost.length + touched.length,
    duplicateRefreshes: fault.mayRefreshAgain === true ? 0 : world.duplicateRefreshes(),
    secretsSeen: world.secrets().filter((secret) => output.includes(secret)).length,
    recoverySeconds: recoveryMs / 1000,
  }
}
