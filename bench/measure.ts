import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Api, type Endpoint, metadataOnly } from './api.ts'
import { Child } from './child.ts'
import { credentialsIn, type Fixtures, type FixtureSet, secretsIn } from './fixtures.ts'
import type { FloorResult, FloorTask } from './floor.ts'
import type { Gateway } from './gateway.ts'
import { MinimalSync } from './minimal-sync.ts'
import { Operator, type OperatorOptions } from './operator.ts'
import { ReadyWatch, SecretWatch } from './watches.ts'

/** The dependencies of all measurements. */
export interface Bench {
  readonly api: Api
  readonly endpoint: Endpoint
  readonly operator: OperatorOptions
  readonly gateway: Gateway
  readonly fixtures: Fixtures
}

export interface FloorRun {
  readonly syncsPerSecond: number
  readonly cpuMsPerSync: number
  readonly peakRssMiB: number
}

export interface SyncRun extends FloorRun {
  /** From the start of the process until its caches have synced. */
  readonly startMs: number
  /** Without the start of the process. */
  readonly workingSyncsPerSecond: number
  readonly calls: number
}

export interface RestartRun {
  readonly syncedMs: number
  readonly idleMs: number
  readonly calls: number
  /** Writing requests of the operator. */
  readonly writes: number
  /** Resources and Secrets whose resourceVersion changed. */
  readonly changed: number
  readonly cpuMs: number
  readonly rssMiB: number
}

export interface RestartFloor {
  readonly elapsedMs: number
  readonly rssMiB: number
}

/** How long an idle operator is observed for unexpected calls and writes. */
const observeMs = 2000

/** Measures the floor in a process of its own, on resources of its own. */
export async function measureFloor(bench: Bench, count: number): Promise<FloorRun> {
  const { endpoint, fixtures, gateway } = bench
  const set = await fixtures.create({ gatewayUrl: gateway.url, count })
  const child = new Child([fileURLToPath(new URL('floor.ts', import.meta.url))])
  try {
    const task: FloorTask = { ...set, endpoint, gatewayUrl: gateway.url }
    child.send(task)
    const { cpuMs, elapsedMs } = await child.firstMatch((line) =>
      'elapsedMs' in line ? (line as unknown as FloorResult) : undefined,
    )
    const { peakRssMiB } = await child.usage()
    return { syncsPerSecond: count / (elapsedMs / 1000), cpuMsPerSync: cpuMs / count, peakRssMiB }
  } finally {
    await child.stop()
    await fixtures.clear(set)
  }
}

/** Starts the operator on existing resources and waits until all are Ready. The operator keeps running. */
export async function measureSync(bench: Bench, set: FixtureSet): Promise<{ run: SyncRun; operator: Operator }> {
  const { api, gateway } = bench
  const count = set.fixtures.length
  const watch = await ReadyWatch.start(api, set)
  const from = await gateway.now()
  const operator = new Operator(bench.operator)
  try {
    const { startedAt } = operator
    const syncedAt = operator.synced().then(() => performance.now())
    const [startedWorkAt, { lastAt }] = await Promise.all([syncedAt, watch.allReady()])
    const { cpuMs, peakRssMiB } = await operator.usage()
    const run = {
      syncsPerSecond: count / ((lastAt - startedAt) / 1000),
      workingSyncsPerSecond: count / ((lastAt - startedWorkAt) / 1000),
      startMs: startedWorkAt - startedAt,
      cpuMsPerSync: cpuMs / count,
      peakRssMiB,
      calls: await gateway.callsSince(from),
    }
    return { run, operator }
  } catch (error) {
    watch.stop()
    await operator.stop()
    throw error
  }
}

/** Starts the operator on resources that are Ready. The operator keeps running. */
export async function measureRestart(bench: Bench, set: FixtureSet): Promise<{ run: RestartRun; operator: Operator }> {
  const { api, gateway } = bench
  const before = await versions(api, set)
  const from = await gateway.now()
  const operator = new Operator(bench.operator)
  try {
    await operator.synced()
    const syncedMs = performance.now() - operator.startedAt
    await operator.idle()
    const idleMs = performance.now() - operator.startedAt
    const { cpuMs, rssMiB } = await operator.usage()
    await delay(observeMs)
    const after = await versions(api, set)
    const changed = [...before].filter(([uid, version]) => after.get(uid) !== version).length
    const countDifference = after.size !== before.size ? Math.abs(after.size - before.size) : 0
    const [calls, writes] = [await gateway.callsSince(from), await operator.writes()]
    return { run: { syncedMs, idleMs, calls, writes, changed: changed + countDifference, cpuMs, rssMiB }, operator }
  } catch (error) {
    await operator.stop()
    throw error
  }
}

/** The floor of a restart: an empty Node process, then the two lists that every restart needs. */
export async function measureRestartFloor({ api }: Bench, { namespace }: FixtureSet): Promise<RestartFloor> {
  const child = new Child(['--eval', "console.log('{}'); setInterval(() => undefined, 60_000)"])
  await child.firstMatch(() => true)
  await Promise.all([api.list(credentialsIn(namespace)), api.list(secretsIn(namespace), metadataOnly)])
  const elapsedMs = performance.now() - child.startedAt
  const { rssMiB } = await child.usage()
  await child.stop()
  return { elapsedMs, rssMiB }
}

/** Deletes targets one after another. @returns for each the time until its recreation, in ms */
export async function measureRepair({ api }: Bench, set: FixtureSet, count: number): Promise<number[]> {
  const watch = await SecretWatch.start(api, set.namespace)
  const times: number[] = []
  for (const { targetName } of set.fixtures.slice(0, count)) {
    const [deletion, recreation] = [watch.next('DELETED', targetName), watch.next('ADDED', targetName)]
    const deleted = api.json(`${secretsIn(set.namespace)}/${targetName}`, { method: 'DELETE' })
    const [deletedAt, recreatedAt] = await Promise.all([deletion, recreation, deleted])
    times.push(recreatedAt - deletedAt)
  }
  watch.stop()
  return times
}

/** The floor of a repair: after the deletion one read of the source, one call to the gateway, one write. */
export async function measureRepairFloor(bench: Bench, set: FixtureSet, count: number): Promise<number[]> {
  const { api, gateway } = bench
  const minimal = new MinimalSync(api, gateway.url)
  const watch = await SecretWatch.start(api, set.namespace)
  const times: number[] = []
  for (const fixture of set.fixtures.slice(0, count)) {
    const { targetName } = fixture
    const [deletion, recreation] = [watch.next('DELETED', targetName), watch.next('ADDED', targetName)]
    const deleted = api.json(`${secretsIn(set.namespace)}/${targetName}`, { method: 'DELETE' })
    const written = deletion.then(() => minimal.writeTarget(set.namespace, fixture))
    const [deletedAt, recreatedAt] = await Promise.all([deletion, recreation, deleted, written])
    times.push(recreatedAt - deletedAt)
  }
  watch.stop()
  await minimal.close()
  return times
}

/** resourceVersion by uid, of the resources of a set and of all Secrets in their namespace. */
async function versions(api: Api, { namespace }: FixtureSet): Promise<Map<string, string>> {
  const lists = await Promise.all([api.list(credentialsIn(namespace)), api.list(secretsIn(namespace))])
  return new Map(lists.flatMap(({ items }) => items.map(({ metadata }) => [metadata.uid, metadata.resourceVersion])))
}
