import { fileURLToPath } from 'node:url'
import type { Api, Endpoint } from './api.ts'
import { Child } from './child.ts'
import type { Fixtures, FixtureSet } from './fixtures.ts'
import type { FloorResult, FloorTask } from './floor.ts'
import type { Gateway } from './gateway.ts'
import { Operator, type OperatorOptions } from './operator.ts'
import type { Row } from './row.ts'
import { ReadyWatch } from './watches.ts'

/** What all measures share. */
export interface Bench {
  readonly api: Api
  readonly endpoint: Endpoint
  readonly operator: OperatorOptions
  readonly gateway: Gateway
  readonly fixtures: Fixtures
}

/** Lines that are measured together. They run one after another: concurrent ones would distort each other. */
export type Measure = (bench: Bench) => Promise<Row[]>

export interface FloorRun {
  readonly perSecond: number
  readonly cpuMs: number
}

const maxFloorMs = 10 * 60_000

/** The floor in a process of its own, on resources of its own. */
export async function runFloor(
  bench: Bench,
  count: number,
  task: Pick<FloorTask, 'work' | 'pacePerSecond'> = { work: 'sync' },
): Promise<FloorRun> {
  const { endpoint, fixtures, gateway } = bench
  const set = await fixtures.create({ gatewayUrl: gateway.url, count })
  const child = new Child([fileURLToPath(new URL('floor.ts', import.meta.url))])
  try {
    child.send({ ...set, endpoint, gatewayUrl: gateway.url, ...task } satisfies FloorTask)
    const { cpuMs, elapsedMs } = await child.firstMatch(
      (line) => ('elapsedMs' in line ? (line as unknown as FloorResult) : undefined),
      maxFloorMs,
    )
    return { perSecond: count / (elapsedMs / 1000), cpuMs: cpuMs / count }
  } finally {
    await child.stop()
    await fixtures.clear(set)
  }
}

export interface SyncRun {
  readonly operator: Operator
  /** From the start of the process. */
  readonly perSecond: number
  /** From the first call to the gateway. */
  readonly perSecondFromFirstCall: number
  readonly cpuMs: number
  readonly calls: number
}

/** Starts the operator on existing resources and waits until all are Ready. The operator keeps running. */
export async function runFirstSync(bench: Bench, set: FixtureSet, gateway = bench.gateway): Promise<SyncRun> {
  const count = set.fixtures.length
  const watch = await ReadyWatch.start(bench.api, set)
  const from = await gateway.now()
  const operator = new Operator(bench.operator)
  try {
    const { lastAt } = await watch.allReady()
    const { cpuMs } = await operator.usage()
    const calls = await gateway.callsSince(from)
    const firstCallAt = (calls[0] ?? 0) - performance.timeOrigin
    return {
      operator,
      perSecond: count / ((lastAt - operator.startedAt) / 1000),
      perSecondFromFirstCall: count / ((lastAt - firstCallAt) / 1000),
      cpuMs: cpuMs / count,
      calls: calls.length,
    }
  } catch (error) {
    watch.stop()
    await operator.stop()
    throw error
  }
}
