import { type Bench, type FloorRun, runFirstSync, runFloor } from '../bench.ts'
import { type Operator, sumOf } from '../operator.ts'
import { atLeastTimes, atMost, atMostTimes, count, mean, milliseconds, perSecond, type Row } from '../row.ts'
import { residentRow, scrapeFor } from './resident.ts'

const resources = 10_000
const floorResources = 3000
/** The first five take up to twice the time of the last, until V8 has optimised their code. */
const scrapes = 20

/** 10,000 resources: first sync, memory, scrape. */
export async function measureTenThousand(bench: Bench): Promise<Row[]> {
  const { fixtures, gateway } = bench
  const before = await runFloor(bench, floorResources)
  const set = await fixtures.create({ gatewayUrl: gateway.url, count: resources })
  const { operator, ...run } = await runFirstSync(bench, set)
  await operator.idle()
  await scrapeFor(operator, 60_000)
  // By now the last events are written, too.
  const { all: requests } = await operator.requests()
  const resident = await residentRow(operator, '10,000', 200)
  const scraped = await measureScrapes(operator)
  await operator.stop()
  const after = await runFloor(bench, floorResources)

  const floor: FloorRun = {
    perSecond: mean([before.perSecond, after.perSecond]),
    cpuMs: mean([before.cpuMs, after.cpuMs]),
  }
  return [
    atLeastTimes(0.7, floor.perSecond, { measure: 'first sync of 10,000', seen: run.perSecond, format: perSecond }),
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
  ]
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
