import { once } from 'node:events'
import { startCluster } from '../test/control-plane/cluster.ts'
import { Api } from './api.ts'
import { type Arguments, parseArguments, UsageError } from './arguments.ts'
import type { Measure } from './bench.ts'
import { loadEndpoint } from './endpoint.ts'
import { Fixtures } from './fixtures.ts'
import { Gateway } from './gateway.ts'
import { measureFailover } from './measures/failover.ts'
import { measureLatency } from './measures/latency.ts'
import { measureLimit } from './measures/limit.ts'
import { measureRenewals } from './measures/renewals.ts'
import { measureRestart } from './measures/restart.ts'
import { measureShared } from './measures/shared.ts'
import { measureSlowGateway } from './measures/slow-gateway.ts'
import { measureStart } from './measures/start.ts'
import { measureTenThousand } from './measures/ten-thousand.ts'
import { measureThousand } from './measures/thousand.ts'
import { writePage } from './page.ts'
import { table } from './row.ts'

const measures: Readonly<Record<string, Measure>> = {
  start: measureStart,
  thousand: measureThousand,
  'ten-thousand': measureTenThousand,
  'slow-gateway': measureSlowGateway,
  restart: measureRestart,
  limit: measureLimit,
  latency: measureLatency,
  shared: measureShared,
  renewals: measureRenewals,
  failover: measureFailover,
}

async function main({ only, profile }: Arguments): Promise<void> {
  await using cleanup = new AsyncDisposableStack()
  const log = (line: string): void => void process.stderr.write(`${line}\n`)
  const cluster = await startCluster({ environment: process.env, log })
  cleanup.defer(() => cluster.stop())
  const endpoint = await loadEndpoint(cluster.kubeconfig)
  const api = new Api(endpoint)
  cleanup.defer(() => api.close())
  const gateway = await Gateway.start()
  cleanup.defer(() => gateway.stop())
  const fixtures = new Fixtures(api)
  const operator = { kubeconfig: cluster.operatorKubeconfig, profile }
  const { gitVersion } = await api.json<{ gitVersion: string }>('/version')
  for (const name of only) {
    log(`measuring ${name}`)
    const rows = (await measures[name]?.({ api, endpoint, operator, gateway, fixtures })) ?? []
    process.stdout.write(`${table(rows)}\n`)
    await writePage(rows, gitVersion)
  }
}

try {
  const options = parseArguments(process.argv.slice(2), Object.keys(measures))
  const signal = Promise.race((['SIGINT', 'SIGTERM'] as const).map((name) => once(process, name).then(() => name)))
  const interrupted = await Promise.race([main(options), signal])
  if (interrupted !== undefined) process.exitCode = 1
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`bench: ${error.message}\n`)
  process.exitCode = 2
}
// After a signal a measure may still wait for an event that never comes.
process.exit()
