import { setTimeout as delay } from 'node:timers/promises'
import { metadataOnly } from '../api.ts'
import { type Bench, runFirstSync } from '../bench.ts'
import { credentialsIn, secretsIn } from '../fixtures.ts'
import { Operator } from '../operator.ts'
import { atMost, atMostTimes, count, mebibytes, milliseconds, type Row } from '../row.ts'

const resources = 10_000
/** By then the garbage of the burst is collected, and what would be called or written was. */
const restMs = 15_000

/** A restart with 10,000 that are Ready: nothing is called, and nothing is written. */
export async function measureRestart(bench: Bench): Promise<Row[]> {
  const { api, fixtures, gateway } = bench
  const set = await fixtures.create({ gatewayUrl: gateway.url, count: resources })
  const { operator: first } = await runFirstSync(bench, set)
  await first.quiet()
  await first.stop()
  const { namespace } = set
  const startedAt = performance.now()
  await Promise.all([api.list(credentialsIn(namespace)), api.list(secretsIn(namespace), metadataOnly)])
  const listsMs = performance.now() - startedAt
  const from = await gateway.now()
  const operator = new Operator(bench.operator)
  await operator.synced()
  const syncedMs = performance.now() - operator.startedAt
  await operator.idle()
  await delay(restMs)
  const { rssMiB } = await operator.usage()
  const { writes } = await operator.requests()
  await operator.stop()
  const calls = await gateway.callsSince(from)
  const measure = 'restart with 10,000'
  return [
    atMostTimes(2, listsMs, { measure: `${measure}: caches synced`, seen: syncedMs, format: milliseconds }),
    atMost(0, { measure: `${measure}: calls to the gateway`, seen: calls.length, format: count }),
    atMost(0, { measure: `${measure}: writes to the API server`, seen: writes, format: count }),
    atMost(200, { measure: `${measure}: resident`, seen: rssMiB, format: mebibytes }),
  ]
}
