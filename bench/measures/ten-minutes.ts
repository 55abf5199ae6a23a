import { setTimeout as delay } from 'node:timers/promises'
import { type Bench, runFirstSync } from '../bench.ts'
import { collectable, type Operator, type RequestCounts, sumOf } from '../operator.ts'
import { atMost, type Row } from '../row.ts'
import { startRenewing } from './renewing.ts'
import { scrapeFor } from './resident.ts'

const renewalsPerSecond = 50
const firstMinuteMs = 60_000
const measuredMs = 10 * 60_000
/** A renewal in flight holds some 25 KB, and a scrape keeps renewals waiting: the least reading has the fewest of them. */
const heapReadings = 5
const readingIntervalMs = 2000
/** Their tokens last two hours, so the period of ten minutes is all that has them looked at. */
const resyncedResources = 1000
/** Keys become due one after another, as they became Ready. */
const resyncMarginMs = 30_000
/** Two watches, which last 5 to 10 minutes, are opened again in that time. */
const maxWatchRequests = 4

/** Ten minutes of two operators: one that renews, whose memory must not grow, and one with nothing to do but a resync. */
export async function measureTenMinutes(bench: Bench): Promise<Row[]> {
  const { fixtures, gateway } = bench
  const renewing = await startRenewing(bench, renewalsPerSecond, { nodeArgs: collectable })
  // Scraped as later: V8 compiles the code of scrapes in that minute too.
  await scrapeFor(renewing.operator, firstMinuteMs)
  const set = await fixtures.create({ gatewayUrl: gateway.url, count: resyncedResources })
  const args = ['--no-leader-elect', '--namespace', set.namespace]
  const { operator: resyncing } = await runFirstSync({ ...bench, operator: { ...bench.operator, args } }, set)
  await resyncing.quiet()
  const resyncBefore = await requestsOf(resyncing)
  const before = await memoryOf(renewing.operator)
  await scrapeFor(renewing.operator, measuredMs)
  const after = await memoryOf(renewing.operator)
  await delay(resyncMarginMs)
  const resyncAfter = await requestsOf(resyncing)
  await resyncing.stop()
  await renewing.end()
  const growth = `growth over 10 minutes of renewals at ${renewalsPerSecond}/s`
  const passes = resyncAfter.passes - resyncBefore.passes
  const writes = resyncAfter.writes - resyncBefore.writes
  const reads = resyncAfter.all - resyncBefore.all - writes
  return [
    atMost(1, {
      measure: `${growth}: live heap`,
      seen: after.liveMiB - before.liveMiB,
      format: tenthsOfMiB,
    }),
    atMost(10, { measure: `${growth}: resident`, seen: after.rssMiB - before.rssMiB, format: tenthsOfMiB }),
    {
      measure: 'requests to the API server of a resync with nothing to do',
      reach: '0',
      seen: `${writes} in ${passes} passes, and ${reads} watches opened again`,
      isReached: passes >= resyncedResources && writes === 0 && reads <= maxWatchRequests,
    },
  ]
}

const tenthsOfMiB = (value: number): string => `${Number(value.toFixed(1))} MiB`

async function memoryOf(operator: Operator): Promise<{ readonly liveMiB: number; readonly rssMiB: number }> {
  let liveMiB = await operator.liveHeapMiB()
  for (let reading = 1; reading < heapReadings; reading++) {
    await delay(readingIntervalMs)
    liveMiB = Math.min(liveMiB, await operator.liveHeapMiB())
  }
  return { liveMiB, rssMiB: (await operator.usage()).rssMiB }
}

async function requestsOf(operator: Operator): Promise<RequestCounts & { readonly passes: number }> {
  const passes = sumOf(await operator.metrics(), 'workqueue_work_duration_seconds_count', 'name="credentials"')
  return { passes, ...(await operator.requests()) }
}
