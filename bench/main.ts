import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { format, resolveConfig } from 'prettier'
import { Api } from './api.ts'
import { type Arguments, parseArguments, UsageError } from './arguments.ts'
import { openCluster } from './cluster.ts'
import { loadEndpoint } from './endpoint.ts'
import { Fixtures } from './fixtures.ts'
import { Gateway } from './gateway.ts'
import {
  type Bench,
  measureFloor,
  measureRepair,
  measureRepairFloor,
  measureRestart,
  measureRestartFloor,
  measureSync,
} from './measure.ts'
import { expectations, page, type Results, tables } from './report.ts'

async function main(): Promise<void> {
  const options = parseArguments(process.argv.slice(2))
  await using cleanup = new AsyncDisposableStack()
  const cluster = await openCluster(options.cluster)
  cleanup.defer(() => cluster.stop())
  const endpoint = await loadEndpoint(cluster.adminKubeconfig)
  const api = new Api(endpoint)
  cleanup.defer(() => api.close())
  const gateway = await Gateway.start()
  cleanup.defer(() => gateway.stop())
  const fixtures = new Fixtures(api)
  cleanup.defer(() => fixtures.removeAll())

  const measurement = measure(
    {
      api,
      endpoint,
      operator: { kubeconfig: cluster.operatorKubeconfig, profile: options.profile },
      gateway,
      fixtures,
    },
    options,
  )
  const results = await Promise.race([measurement, rejectOnSignal()])
  process.stdout.write(tables(results))
  if (options.write !== undefined) {
    const text = page(results, {
      node: process.version,
      apiServer: (await api.json<{ gitVersion: string }>('/version')).gitVersion,
      processor: cpus()[0]?.model ?? 'unknown',
      cores: cpus().length,
    })
    const style = await resolveConfig(options.write)
    await writeFile(options.write, await format(text, { ...style, parser: 'markdown' }))
  }
  for (const { expected, seen, what } of expectations(results)) {
    if (seen === expected) continue
    process.stderr.write(`${what}: expected ${expected}, seen ${seen}\n`)
    process.exitCode = 1
  }
}

/** Measures one after another: concurrent measurements would distort each other. */
async function measure(bench: Bench, { repairs, resources }: Arguments): Promise<Results> {
  const { fixtures, gateway } = bench
  const floors = [await measureFloor(bench, resources)]
  const set = await fixtures.create({ gatewayUrl: gateway.url, count: resources })

  const first = await measureSync(bench, set)
  // The last events are still being written.
  await first.operator.idle()
  await first.operator.stop()
  floors.push(await measureFloor(bench, resources))

  const restartFloor = await measureRestartFloor(bench, set)
  const again = await measureRestart(bench, set)
  const repairsMs = await measureRepair(bench, set, repairs)
  await again.operator.idle()
  await again.operator.stop()
  const repairFloorsMs = await measureRepairFloor(bench, set, repairs)

  const sharedResources = Math.floor(resources / 5)
  await fixtures.clear(set)
  const many = await fixtures.create({ gatewayUrl: gateway.url, count: sharedResources, isShared: true })
  const shared = await measureSync(bench, many)
  await shared.operator.stop()
  await fixtures.clear(many)

  return {
    resources,
    floors,
    sync: first.run,
    restart: again.run,
    restartFloor,
    repairsMs,
    repairFloorsMs,
    shared: shared.run,
    sharedResources,
  }
}

/** Rejects on a signal, so that the fixtures are removed before the exit. */
async function rejectOnSignal(): Promise<never> {
  const signal = await Promise.race(
    (['SIGINT', 'SIGTERM'] as const).map((name) => once(process, name).then(() => name)),
  )
  throw new UsageError(`interrupted by ${signal}`)
}

try {
  await main()
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`bench: ${error.message}\n`)
  process.exitCode = 2
}
// After a signal the measurement may still wait for an event that never comes.
process.exit()
