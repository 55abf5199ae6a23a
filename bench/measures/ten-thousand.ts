import { setTimeout as delay } from 'node:timers/promises'
import { metadataOnly } from '../api.ts'
import { type Bench, type FloorRun, runFirstSync, runFloor } from '../bench.ts'
import { credentialsIn, type FixtureSet, secretsIn } from '../fixtures.ts'
import { Gateway } from '../gateway.ts'
import { Operator, sumOf } from '../operator.ts'
import { atLeastTimes, atMost, atMostTimes, count, mean, mebibytes, milliseconds, perSecond, type Row } from '../row.ts'
import { residentRow, scrapeFor } from './resident.ts'

const resources = 10_000
const floorResources = 3000
const latencyMs = 100
/** The default of --gateway-max-concurrency, divided by the latency. */
const maxPerSecond = 320
const scrapes = 5

/** 10,000 resources: first sync, memory, scrape, restart, and a first sync at a slow gateway. */
export async function measureTenThousand(bench: Bench): Promise<Row[]> {
  const { fixtures, gateway } = bench
  const before = await runFloor(bench, floorResources)
  const set = await fixtures.create({ gatewayUrl: gateway.url, count: resources })
  const { operator, ...run } = await runFirstSync(bench, set)
  await operator.idle()
  const { all: requests } = await operator.requests()
  await scrapeFor(operator, 60_000)
  const resident = await residentRow(operator, '10,000', 200)
  const scraped = await measureScrapes(operator)
  await operator.stop()
  const after = await runFloor(bench, floorResources)
  const restart = await measureRestart(bench, set)
  await fixtures.clear(set)

  const floor: FloorRun = {
    perSecond: mean([before.perSecond, after.perSecond]),
    cpuMs: mean([before.cpuMs, after.cpuMs]),
  }
  return [
    atLeastTimes(0.7, floor.perSecond, { measure: 'first sync of 10,000', seen: run.perSecond, format: perSecond }),
    await measureSlowGateway(bench, run.perSecond),
    atMostTimes(2.5, floor.cpuMs, {
      measure: 'processor time of a first sync, at 10,000',
      seen: run.cpuMs,
      format: milliseconds,
    }),
    atMost(4, {
      // The lists and watches of the start are some hundredths.
      measure: 'requests to the API server of a first sync, event included',
      seen: Number((requests / resources).toFixed(1)),
      format: count,
    }),
    resident,
    ...scraped,
    ...restart,
  ]
}

async function measureSlowGateway(bench: Bench, reached: number): Promise<Row> {
  const gateway = await Gateway.start({ latencyMs })
  const set = await bench.fixtures.create({ gatewayUrl: gateway.url, count: resources })
  const { operator, perSecondFromFirstCall: seen } = await runFirstSync(bench, set, gateway)
  await operator.stop()
  await gateway.stop()
  await bench.fixtures.clear(set)
  const expected = 0.9 * Math.min(maxPerSecond, reached)
  return {
    measure: `first sync of 10,000, a gateway that takes ${latencyMs} ms, from the first call`,
    reach: `≥ 0.9 × the lesser of ${maxPerSecond}/s and the rate above: ${perSecond(expected)}`,
    seen: perSecond(seen),
    isReached: seen >= expected,
  }
}

async function measureScrapes(operator: Operator): Promise<Row[]> {
  // Each scrape reports the longest block since the one before it.
  await operator.metrics()
  const blocks: number[] = []
  const before = await operator.usage()
  for (let scrape = 0; scrape < scrapes; scrape++) {
    blocks.push(sumOf(await operator.metrics(), 'nodejs_eventloop_lag_max_seconds') * 1000)
  }
  const { cpuMs } = await operator.usage()
  return [
    atMost(50, {
      measure: 'longest block of the event loop while scraped, at 10,000',
      seen: Math.max(...blocks),
      format: milliseconds,
    }),
    atMost(200, {
      measure: 'processor time of a scrape with gzip, at 10,000',
      seen: (cpuMs - before.cpuMs) / scrapes,
      format: milliseconds,
    }),
  ]
}

async function measureRestart(bench: Bench, { namespace }: FixtureSet): Promise<Row[]> {
  const { api, gateway } = bench
  const startedAt = performance.now()
  await Promise.all([api.list(credentialsIn(namespace)), api.list(secretsIn(namespace), metadataOnly)])
  const listsMs = performance.now() - startedAt
  const from = await gateway.now()
  const operator = new Operator(bench.operator)
  await operator.synced()
  const syncedMs = performance.now() - operator.startedAt
  await operator.idle()
  await delay(5000)
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
