import { describe, expect, it } from 'vitest'
import { delay, useHarness } from '../integration/harness.ts'
import { randomFaults } from './cases/random.ts'
import { seeded } from './random.ts'
import { World } from './world.ts'

/** SEED repeats a run; FAULTS is the number of its faults (`make soak`: 1000). */
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
const count = Number(process.env['FAULTS'] ?? 12)

const harness = useHarness()

describe('a random run', () => {
  it(
    `of ${count} faults, SEED=${seed}, leaves nothing expired, lost or touched`,
    { timeout: 60_000 + count * 15_000 },
    async () => {
      const random = seeded(seed)
      const world = await World.create(harness(), randomFaults.world)
      const played: string[] = []
      try {
        for (let at = 0; at < count; at++) {
          // At most two, each shorter than the renewal window.
          const faults = randomFaults.pick(random)
          played.push(faults.map(({ name }) => name).join(' + '))
          await delay(random() * 3000)
          await Promise.all(faults.map((fault) => fault.begin(world, random)))
          await delay(500 + random() * 2500)
          for (const fault of faults) await fault.end?.(world, random)
          // A call that hangs times out after a third of the remaining life and is retried after an eighth.
          await world.recovered(15_000)
        }
      } catch (error) {
        throw new Error(`SEED=${seed}, after ${played.length} faults, the last: ${played.at(-1) ?? ''}`, {
          cause: error,
        })
      }
      const output = await world.output()
      const { expiredMs, lost, samples, touched } = await world.end()
      expect(samples).toBeGreaterThan(count)
      expect({ expiredMs, lost, touched, duplicates: world.duplicateRefreshes() }, played.join('\n')).toEqual({
        expiredMs: 0,
        lost: [],
        touched: [],
        duplicates: 0,
      })
      expect(world.secrets().filter((secret) => output.includes(secret))).toEqual([])
    },
  )
})
