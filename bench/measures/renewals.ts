import { setTimeout as delay } from 'node:timers/promises'
import { type Bench, runFloor } from '../bench.ts'
import { type Operator, sumOf } from '../operator.ts'
import { atMost, atMostTimes, count, milliseconds, perSecond, type Row } from '../row.ts'
import { startRenewing } from './renewing.ts'

const renewalsPerSecond = 100
const measuredMs = 5 * 60_000
/** The first renewals, and whatever the creations left behind. */
const settlingMs = 30_000
const floorRenewals = 3000

/** Renewals at 100/s for 5 minutes: lateness, processor time, requests. */
export async function measureRenewals(bench: Bench): Promise<Row[]> {
  // At the same pace: work that comes one by one, and not 64 at once, has a wake-up and a system call for each step.
  const floor = await runFloor(bench, floorRenewals, { work: 'renew', pacePerSecond: renewalsPerSecond })
  const { end, operator } = await startRenewing(bench, renewalsPerSecond)
  await delay(settlingMs)

  const before = await stateOf(operator)
  await delay(measuredMs)
  const after = await stateOf(operator)
  await end()
  const renewals = after.renewals - before.renewals
  const lateness = after.lateness.map(
    ([bound, value], index) => [bound, value - (before.lateness[index]?.[1] ?? 0)] as const,
  )
  return [
    atMost(300, {
      measure: `lateness of renewals at ${perSecond(renewalsPerSecond)} for 5 minutes, p99`,
      seen: quantileOf(lateness, 0.99) * 1000,
      format: milliseconds,
    }),
    {
      measure: `renewals at ${perSecond(renewalsPerSecond)}: made`,
      reach: `≥ ${0.95 * renewalsPerSecond}/s`,
      seen: perSecond(renewals / (measuredMs / 1000)),
      isReached: renewals >= 0.95 * renewalsPerSecond * (measuredMs / 1000),
    },
    atMostTimes(2, floor.cpuMs, {
      measure: `processor time of a renewal at ${perSecond(renewalsPerSecond)}, 10,000 resources`,
      seen: (after.cpuMs - before.cpuMs) / renewals,
      format: milliseconds,
    }),
    atMost(2, {
      measure: 'requests to the API server of a renewal',
      seen: Number(((after.requests - before.requests) / renewals).toFixed(1)),
      format: count,
    }),
  ]
}

type Buckets = readonly (readonly [bound: number, cumulative: number])[]

async function stateOf(operator: Operator): Promise<{
  readonly cpuMs: number
  readonly renewals: number
  readonly requests: number
  readonly lateness: Buckets
}> {
  const metrics = await operator.metrics()
  const { cpuMs } = await operator.usage()
  const buckets = [...metrics.matchAll(/^enos_credential_renewal_overdue_seconds_bucket\{le="([^"]+)"\} (\S+)$/gm)]
  return {
    cpuMs,
    renewals: sumOf(metrics, 'enos_credential_renewal_headroom_seconds_count'),
    requests: sumOf(metrics, 'rest_client_requests_total'),
    lateness: buckets.map(([, bound, value]) => [Number(bound === '+Inf' ? Infinity : bound), Number(value)]),
  }
}

/** Interpolated within its bucket, as Prometheus does. */
function quantileOf(buckets: Buckets, share: number): number {
  const rank = share * (buckets.at(-1)?.[1] ?? 0)
  const index = buckets.findIndex(([, cumulative]) => cumulative >= rank)
  const [[from, before], [to, upTo]] = [buckets[index - 1] ?? [0, 0], buckets[index] ?? [Infinity, Infinity]]
  return from + ((to - from) * (rank - before)) / Math.max(1, upTo - before)
}
