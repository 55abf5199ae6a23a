import { setTimeout as delay } from 'node:timers/promises'
import type { Bench } from '../bench.ts'
import { Operator } from '../operator.ts'
import { atMost, type Row, seconds } from '../row.ts'

/** Two replicas with one lease. */
export async function measureFailover(bench: Bench): Promise<Row[]> {
  const args = ['--leader-elect-namespace', 'enos-system']
  const start = (): Operator => new Operator({ ...bench.operator, args })
  const first = start()
  await first.leading()
  const second = start()
  // It has seen renewals, as a standby of some age has.
  await delay(6000)
  const killedAt = performance.now()
  first.kill()
  await second.synced()
  const killMs = performance.now() - killedAt

  const third = start()
  await delay(6000)
  const releasedAt = second.released()
  await second.stop()
  await third.synced()
  const stopMs = performance.now() - (await releasedAt)
  await third.stop()
  return [
    atMost(17, { measure: 'leader killed: the other replica works after', seen: killMs / 1000, format: seconds }),
    atMost(1, {
      measure: 'leader told to stop: the other replica works after the release',
      seen: stopMs / 1000,
      format: seconds,
    }),
  ]
}
