import { json } from 'node:stream/consumers'
import { Api, type Endpoint, forEachConcurrently, forEachPaced } from './api.ts'
import type { Fixture, FixtureSet } from './fixtures.ts'
import { floorConcurrency, MinimalSync } from './minimal-sync.ts'

/** The floor's process: reads a task from standard input, and writes the time of its loop as a line of JSON. */

export interface FloorTask extends FixtureSet {
  readonly endpoint: Endpoint
  readonly gatewayUrl: string
  readonly work: 'sync' | 'renew'
  /** Starts so many a second, evenly spread; undefined: `floorConcurrency` in flight. */
  readonly pacePerSecond?: number
}

/** Time of the floor's loop. */
export interface FloorResult {
  readonly elapsedMs: number
  readonly cpuMs: number
}

const { endpoint, fixtures, gatewayUrl, namespace, pacePerSecond, work } = (await json(process.stdin)) as FloorTask
const api = new Api(endpoint)
const minimal = new MinimalSync(api, gatewayUrl)
// Opens the connection before the measurement.
await api.json(`/api/v1/namespaces/${namespace}`)
if (work === 'renew') {
  await forEachConcurrently(floorConcurrency, fixtures, (fixture) => minimal.sync(namespace, fixture))
}
const [startedAt, cpuBefore] = [performance.now(), process.cpuUsage()]
const doWork = (fixture: Fixture): Promise<void> => minimal[work](namespace, fixture)
await (pacePerSecond === undefined
  ? forEachConcurrently(floorConcurrency, fixtures, doWork)
  : forEachPaced(pacePerSecond, fixtures, doWork))
const elapsedMs = performance.now() - startedAt
const { system, user } = process.cpuUsage(cpuBefore)
process.stdout.write(`${JSON.stringify({ elapsedMs, cpuMs: (system + user) / 1000 } satisfies FloorResult)}\n`)
// Runs until SIGTERM: the parent reads its memory usage first.
const keepAlive = setInterval(() => undefined, 60_000)
process.once('SIGTERM', () => {
  clearInterval(keepAlive)
  void Promise.all([api.close(), minimal.close()])
})
