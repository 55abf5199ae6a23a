import { type Bench, runFirstSync } from '../bench.ts'
import { atMost, type Row, seconds } from '../row.ts'
import { residentRow, scrapeFor } from './resident.ts'

const foreignSecrets = 50_000
const resources = 100

/** A cluster whose Secrets are mostly those of others. */
export async function measureForeign(bench: Bench): Promise<Row[]> {
  const { fixtures, gateway } = bench
  await fixtures.createForeignSecrets(foreignSecrets)
  const set = await fixtures.create({ gatewayUrl: gateway.url, count: resources })
  const { operator, perSecond } = await runFirstSync(bench, set)
  await scrapeFor(operator, 60_000)
  const with50000 = '100 and 50,000 foreign Secrets'
  const resident = await residentRow(operator, with50000, 145)
  await operator.stop()
  return [
    resident,
    atMost(10, {
      measure: `${with50000}: from the start of the process until all are Ready`,
      seen: resources / perSecond,
      format: seconds,
    }),
  ]
}
