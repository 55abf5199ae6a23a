import { describe, expect, it } from 'vitest'
import { type Access, delay, useHarness } from '../integration/harness.ts'
import { World, type WorldOptions } from './world.ts'

/** Something that goes wrong, and what is expected of the operator. */
export interface FaultCase {
  /** As a row of the table in docs/reliability.md. */
  readonly name: string
  readonly expected: string
  readonly world?: WorldOptions
  /** Default: it is there when the next renewal begins. */
  readonly when?: 'renewal' | 'now'
  /** How long it lasts. Default 3000: shorter than the window in which tokens are renewed. */
  readonly holdMs?: number
  /** The outage is longer than the window: tokens expire, and nobody can help it. */
  readonly mayExpire?: boolean
  /** Refreshes come closer than usual, since somebody or the gateway itself asks for them. */
  readonly mayRefreshAgain?: boolean
  /** Default 8000. */
  readonly recoverWithinMs?: number
  readonly begin: (world: World) => unknown
  /** What is to be seen while it lasts. */
  readonly during?: ((world: World) => unknown) | undefined
  readonly end?: (world: World) => unknown
  /** What is to be seen when all is well again. */
  readonly after?: (world: World) => unknown
}

/** What came of a fault: a row of the table. */
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
  /** Default: the control plane that all files share. */
  readonly access?: () => Promise<Access>
  /** One after the other. Default: side by side. */
  readonly isSerial?: boolean
}

/** Plays each fault on a world of its own. */
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
      expect(row.lostOrTouched, 'Secrets that were lost, or touched though they are foreign').toBe(0)
      expect(row.duplicateRefreshes, 'refreshes too many').toBe(0)
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
    // What is left in place would strike at the end of the world, too.
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
