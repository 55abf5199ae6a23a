import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { format, resolveConfig } from 'prettier'
import { Api } from './api.ts'
import { type Arguments, readArguments, UsageError } from './arguments.ts'
import { openCluster } from './cluster.ts'
import { readEndpoint } from './endpoint.ts'
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
  const options = readArguments(process.argv.slice(2))
  await using ends = new AsyncDisposableStack()
  const cluster = await openCluster(options.cluster)
  ends.defer(() => cluster.end())
  const endpoint = await readEndpoint(cluster.adminKubeconfig)
  const api = new Api(endpoint)
  ends.defer(() => api.close())
  const gateway = await Gateway.start()
  ends.defer(() => gateway.end())
  const fixtures = new Fixtures(api)
  ends.defer(() => fixtures.end())

  const measured = measure(
    {
      api,
      endpoint,
      operator: { kubeconfig: cluster.operatorKubeconfig, profile: options.profile },
      gateway,
      fixtures,
    },
    options,
  )
  const results = await Promise.race([measured, interrupted()])
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
    process.stderr.write(`${what}: expected ${expected}, saw ${seen}\n`)
    process.exitCode = 1
  }
}

/** One thing after another: nothing is measured beside something else. */
async function measure(bench: Bench, { repairs, resources }: Arguments): Promise<Results> {
  const { fixtures, gateway } = bench
  const floors = [await measureFloor(bench, resources)]
  const set = await fixtures.create({ gatewayUrl: gateway.url, count: resources })

  const first = await measureSync(bench, set)
  // Its last events are still under way.
  await first.operator.idle()
  await first.operator.end()
  floors.push(await measureFloor(bench, resources))

  const restartFloor = await measureRestartFloor(bench, set)
  const again = await measureRestart(bench, set)
  const repairsMs = await measureRepair(bench, set, repairs)
  await again.operator.idle()
  await again.operator.end()
  const repairFloorsMs = await measureRepairFloor(bench, set, repairs)

  const sharedResources = Math.floor(resources / 5)
  await fixtures.clear(set)
  const many = await fixtures.create({ gatewayUrl: gateway.url, count: sharedResources, isShared: true })
  const shared = await measureSync(bench, many)
  await shared.operator.end()
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

/** Rejects on a signal, so that what was made is removed all the same. */
async function interrupted(): Promise<never> {
  const signal = await Promise.race(
    (['SIGINT', 'SIGTERM'] as const).map((name) => once(process, name).then(() => name)),
  )
  throw new UsageError(`ended by ${signal}`)
}

try {
  await main()
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`bench: ${error.message}\n`)
  process.exitCode = 2
}
// After a signal the measurement may still wait for something that no longer comes.
process.exit()
