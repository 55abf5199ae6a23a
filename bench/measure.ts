import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Api, type Endpoint, metadataOnly } from './api.ts'
import { Child } from './child.ts'
import { credentialsIn, type Fixtures, type FixtureSet, secretsIn } from './fixtures.ts'
import type { FloorAnswer, FloorTask } from './floor.ts'
import type { Gateway } from './gateway.ts'
import { MinimalSync } from './minimal-sync.ts'
import { Operator, type OperatorOptions } from './operator.ts'
import { ReadyWatch, SecretWatch } from './watches.ts'

/** What all measurements work with. */
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
  /** From the start of the process until its caches were complete. */
  readonly startMs: number
  /** Without the start. */
  readonly workingSyncsPerSecond: number
  readonly calls: number
}

export interface RestartRun {
  readonly syncedMs: number
  readonly idleMs: number
  readonly calls: number
  /** Requests of the operator that change something. */
  readonly writes: number
  /** Resources and Secrets that are not what they were. */
  readonly changed: number
  readonly cpuMs: number
  readonly rssMiB: number
}

export interface RestartFloor {
  readonly elapsedMs: number
  readonly rssMiB: number
}

/** After it came to rest the operator is watched for so long, for calls and writes that it should not make. */
const quietMs = 2000

/** The floor, in a process of its own, on resources of its own. */
export async function measureFloor(bench: Bench, count: number): Promise<FloorRun> {
  const { endpoint, fixtures, gateway } = bench
  const set = await fixtures.create({ gatewayUrl: gateway.url, count })
  const child = new Child([fileURLToPath(new URL('floor.ts', import.meta.url))])
  try {
    const task: FloorTask = { ...set, endpoint, gatewayUrl: gateway.url }
    child.tell(task)
    const { cpuMs, elapsedMs } = await child.said((line) =>
      'elapsedMs' in line ? (line as unknown as FloorAnswer) : undefined,
    )
    const { peakRssMiB } = await child.usage()
    return { syncsPerSecond: count / (elapsedMs / 1000), cpuMsPerSync: cpuMs / count, peakRssMiB }
  } finally {
    await child.end()
    await fixtures.clear(set)
  }
}

/** Starts the operator on resources that are there already, until all are Ready. The operator runs on. */
export async function measureSync(bench: Bench, set: FixtureSet): Promise<{ run: SyncRun; operator: Operator }> {
  const { api, gateway } = bench
  const count = set.fixtures.length
  const watch = await ReadyWatch.start(api, set)
  const from = await gateway.now()
  const operator = new Operator(bench.operator)
  try {
    const { startedAt } = operator
    const workingAt = operator.working().then(() => performance.now())
    const [began, { lastAt }] = await Promise.all([workingAt, watch.allReady()])
    const { cpuMs, peakRssMiB } = await operator.usage()
    const run = {
      syncsPerSecond: count / ((lastAt - startedAt) / 1000),
      workingSyncsPerSecond: count / ((lastAt - began) / 1000),
      startMs: began - startedAt,
      cpuMsPerSync: cpuMs / count,
      peakRssMiB,
      calls: await gateway.callsSince(from),
    }
    return { run, operator }
  } catch (error) {
    watch.stop()
    await operator.end()
    throw error
  }
}

/** Starts the operator where everything is in order. The operator runs on. */
export async function measureRestart(bench: Bench, set: FixtureSet): Promise<{ run: RestartRun; operator: Operator }> {
  const { api, gateway } = bench
  const before = await versions(api, set)
  const from = await gateway.now()
  const operator = new Operator(bench.operator)
  try {
    await operator.working()
    const syncedMs = performance.now() - operator.startedAt
    await operator.idle()
    const idleMs = performance.now() - operator.startedAt
    const { cpuMs, rssMiB } = await operator.usage()
    await delay(quietMs)
    const after = await versions(api, set)
    const changed = [...before].filter(([uid, version]) => after.get(uid) !== version).length
    const isMore = after.size !== before.size ? Math.abs(after.size - before.size) : 0
    const [calls, writes] = [await gateway.callsSince(from), await operator.writes()]
    return { run: { syncedMs, idleMs, calls, writes, changed: changed + isMore, cpuMs, rssMiB }, operator }
  } catch (error) {
    await operator.end()
    throw error
  }
}

/** The floor of a restart: an empty Node process, then the two lists without which nothing is known. */
export async function measureRestartFloor({ api }: Bench, { namespace }: FixtureSet): Promise<RestartFloor> {
  const child = new Child(['--eval', "console.log('{}'); setInterval(() => undefined, 60_000)"])
  await child.said(() => true)
  await Promise.all([api.list(credentialsIn(namespace)), api.list(secretsIn(namespace), metadataOnly)])
  const elapsedMs = performance.now() - child.startedAt
  const { rssMiB } = await child.usage()
  await child.end()
  return { elapsedMs, rssMiB }
}

/** Deletes targets by hand, one after another. @returns for each how long it was gone, ms */
export async function measureRepair({ api }: Bench, set: FixtureSet, count: number): Promise<number[]> {
  const watch = await SecretWatch.start(api, set.namespace)
  const times: number[] = []
  for (const { targetName } of set.fixtures.slice(0, count)) {
    const [gone, back] = [watch.next('DELETED', targetName), watch.next('ADDED', targetName)]
    const deleted = api.json(`${secretsIn(set.namespace)}/${targetName}`, { method: 'DELETE' })
    const [goneAt, backAt] = await Promise.all([gone, back, deleted])
    times.push(backAt - goneAt)
  }
  watch.stop()
  return times
}

/** The floor of a repair: what is seen to be gone is read for, asked for and written, and nothing else. */
export async function measureRepairFloor(bench: Bench, set: FixtureSet, count: number): Promise<number[]> {
  const { api, gateway } = bench
  const minimal = new MinimalSync(api, gateway.url)
  const watch = await SecretWatch.start(api, set.namespace)
  const times: number[] = []
  for (const fixture of set.fixtures.slice(0, count)) {
    const { targetName } = fixture
    const [gone, back] = [watch.next('DELETED', targetName), watch.next('ADDED', targetName)]
    const deleted = api.json(`${secretsIn(set.namespace)}/${targetName}`, { method: 'DELETE' })
    const written = gone.then(() => minimal.writeTarget(set.namespace, fixture))
    const [goneAt, backAt] = await Promise.all([gone, back, deleted, written])
    times.push(backAt - goneAt)
  }
  watch.stop()
  await minimal.close()
  return times
}

/** resourceVersion by uid, of the resources of a set and of all Secrets beside them. */
async function versions(api: Api, { namespace }: FixtureSet): Promise<Map<string, string>> {
  const lists = await Promise.all([api.list(credentialsIn(namespace)), api.list(secretsIn(namespace))])
  return new Map(lists.flatMap(({ items }) => items.map(({ metadata }) => [metadata.uid, metadata.resourceVersion])))
}
