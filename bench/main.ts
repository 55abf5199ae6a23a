import { once } from 'node:events'
import { inspect } from 'node:util'
import { startCluster } from '../test/control-plane/cluster.ts'
import { Api } from './api.ts'
import { type Arguments, parseArguments, UsageError } from './arguments.ts'
import type { Measure } from './bench.ts'
import { loadEndpoint } from './endpoint.ts'
import { Fixtures } from './fixtures.ts'
import { Gateway } from './gateway.ts'
import { measureFailover } from './measures/failover.ts'
import { measureForeign } from './measures/foreign.ts'
import { measureLatency } from './measures/latency.ts'
import { measureLimit } from './measures/limit.ts'
import { measureRenewals } from './measures/renewals.ts'
import { measureRestart } from './measures/restart.ts'
import { measureShared } from './measures/shared.ts'
import { measureSlowGateway } from './measures/slow-gateway.ts'
import { measureStart } from './measures/start.ts'
import { measureTenMinutes } from './measures/ten-minutes.ts'
import { measureTenThousand } from './measures/ten-thousand.ts'
import { measureThirtyThousand } from './measures/thirty-thousand.ts'
import { measureThousand } from './measures/thousand.ts'
import { writePage } from './page.ts'
import { type Row, table } from './row.ts'

const measures: Readonly<Record<string, Measure>> = {
  start: measureStart,
  thousand: measureThousand,
  latency: measureLatency,
  shared: measureShared,
  'ten-thousand': measureTenThousand,
  'slow-gateway': measureSlowGateway,
  restart: measureRestart,
  'thirty-thousand': measureThirtyThousand,
  foreign: measureForeign,
  limit: measureLimit,
  renewals: measureRenewals,
  'ten-minutes': measureTenMinutes,
  failover: measureFailover,
}

/** @returns the groups that failed; the others are measured all the same */
async function main({ only, profile }: Arguments): Promise<string[]> {
  const failed: string[] = []
  for (const name of only) {
    const startedAt = performance.now()
    log(`${name}: measuring`)
    try {
      const { apiServer, rows } = await run(name, profile)
      process.stdout.write(`${table(rows)}\n`)
      await writePage(rows, apiServer)
    } catch (error) {
      failed.push(name)
      log(`${name}: ${inspect(error)}`)
    }
    log(`${name}: ${Math.round((performance.now() - startedAt) / 1000)} s`)
  }
  return failed
}

/** On a cluster of its own: tens of thousands of objects are sooner gone with it than deleted. */
async function run(name: string, profile: string | undefined): Promise<{ rows: Row[]; apiServer: string }> {
  await using cleanup = new AsyncDisposableStack()
  const cluster = await startCluster({ environment: process.env, log })
  cleanup.defer(() => cluster.stop())
  const endpoint = await loadEndpoint(cluster.kubeconfig)
  const api = new Api(endpoint)
  cleanup.defer(() => api.close())
  const gateway = await Gateway.start()
  cleanup.defer(() => gateway.stop())
  const { gitVersion } = await api.json<{ gitVersion: string }>('/version')
  const operator = { kubeconfig: cluster.operatorKubeconfig, profile }
  const rows = (await measures[name]?.({ api, endpoint, operator, gateway, fixtures: new Fixtures(api) })) ?? []
  return { rows, apiServer: gitVersion }
}

function log(line: string): void {
  process.stderr.write(`${line}\n`)
}

try {
  const options = parseArguments(process.argv.slice(2), Object.keys(measures))
  const signal = Promise.race((['SIGINT', 'SIGTERM'] as const).map((name) => once(process, name).then(() => name)))
  const ended = await Promise.race([main(options), signal])
  if (ended.length > 0) {
    process.stderr.write(
      `bench: ${typeof ended === 'string' ? `stopped by ${ended}` : `failed: ${ended.join(', ')}`}\n`,
    )
    process.exitCode = 1
  }
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`bench: ${error.message}\n`)
  process.exitCode = 2
}
// After a signal a measure may still wait for an event that never comes.
process.exit()
