import { type Bench, runFirstSync } from '../bench.ts'
import type { Row } from '../row.ts'
import { residentRow, scrapeFor } from './resident.ts'

const resources = 30_000

/** What is resident with 30,000. */
export async function measureThirtyThousand(bench: Bench): Promise<Row[]> {
  const { fixtures, gateway } = bench
  const set = await fixtures.create({ gatewayUrl: gateway.url, count: resources })
  const { operator } = await runFirstSync(bench, set)
  await operator.idle()
  await scrapeFor(operator, 60_000)
  const resident = await residentRow(operator, '30,000', 420)
  await operator.stop()
  return [resident]
}
