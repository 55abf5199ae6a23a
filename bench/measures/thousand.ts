import { setTimeout as delay } from 'node:timers/promises'
import { type Bench, runFirstSync, runFloor } from '../bench.ts'
import { Operator } from '../operator.ts'
import { atLeastTimes, atMost, mebibytes, perSecond, type Row } from '../row.ts'
import { residentRow, scrapeFor } from './resident.ts'

/** The first sync of 1,000 from the start of the process, and what is resident with none and with 1,000. */
export async function measureThousand(bench: Bench): Promise<Row[]> {
  const { fixtures, gateway } = bench
  const empty = new Operator(bench.operator)
  await empty.idle()
  await delay(10_000)
  const idle = await empty.usage()
  await empty.stop()

  const floor = await runFloor(bench, 1000)
  const set = await fixtures.create({ gatewayUrl: gateway.url, count: 1000 })
  const { operator, ...run } = await runFirstSync(bench, set)
  await scrapeFor(operator, 60_000)
  const resident = await residentRow(operator, '1,000', 115)
  await operator.stop()
  return [
    atLeastTimes(0.5, floor.perSecond, {
      measure: 'first sync of 1,000, from the start of the process',
      seen: run.perSecond,
      format: perSecond,
    }),
    atMost(100, { measure: 'resident with 0', seen: idle.rssMiB, format: mebibytes }),
    resident,
  ]
}
