import { type Bench, runFirstSync } from '../bench.ts'
import { Gateway } from '../gateway.ts'
import { mean, perSecond, type Row } from '../row.ts'

const resources = 10_000
const latencyMs = 100
/** The default of --gateway-max-concurrency, divided by the latency. */
const maxPerSecond = 320

/** A first sync where each answer of the gateway takes 100 ms, compared with the mean of two where it takes none. */
export async function measureSlowGateway(bench: Bench): Promise<Row[]> {
  // Before and after, because a first sync gets slower as the API server's store grows.
  const before = await runAgainst(bench, await Gateway.start())
  const seen = await runAgainst(bench, await Gateway.start({ latencyMs }))
  const after = await runAgainst(bench, await Gateway.start())
  const reached = mean([before, after])
  const expected = 0.9 * Math.min(maxPerSecond, reached)
  return [
    {
      measure: `first sync of 10,000, a gateway that takes ${latencyMs} ms, from the first call`,
      reach: `≥ 0.9 × the lesser of ${maxPerSecond}/s and the rate without: ${perSecond(expected)}`,
      seen: perSecond(seen),
      isReached: seen >= expected,
    },
  ]
}

async function runAgainst(bench: Bench, gateway: Gateway): Promise<number> {
  const set = await bench.fixtures.create({ gatewayUrl: gateway.url, count: resources })
  const { operator, perSecondFromFirstCall } = await runFirstSync(bench, set, gateway)
  await operator.stop()
  await gateway.stop()
  // With 30,000 objects more, the API server would be slower in the other run.
  await bench.fixtures.clear(set)
  return perSecondFromFirstCall
}
