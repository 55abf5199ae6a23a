import { setTimeout as delay } from 'node:timers/promises'
import type { Operator } from '../operator.ts'
import { mebibytes, type Row } from '../row.ts'

const scrapeIntervalMs = 15_000

/** Scrapes as Prometheus does. */
export async function scrapeFor(operator: Operator, durationMs: number): Promise<void> {
  for (let passedMs = 0; passedMs < durationMs; passedMs += scrapeIntervalMs) {
    await delay(scrapeIntervalMs)
    await operator.metrics()
  }
}

export async function residentRow(operator: Operator, resources: string, maxMiB: number): Promise<Row> {
  const { anonymousMiB, rssMiB } = await operator.usage()
  return {
    measure: `resident with ${resources}, 60 s after the sync, scraped`,
    reach: `≤ ${maxMiB} MiB`,
    seen: `${mebibytes(rssMiB)} (anonymous ${mebibytes(anonymousMiB)})`,
    isReached: rssMiB <= maxMiB,
  }
}
