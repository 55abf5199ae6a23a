import { json } from 'node:stream/consumers'
import { Api, type Endpoint, inFlight } from './api.ts'
import type { FixtureSet } from './fixtures.ts'
import { floorConcurrency, MinimalSync } from './minimal-sync.ts'

/** The floor's process: reads what to do from standard input, and writes the time of its loop as a line of JSON. */

export interface FloorTask extends FixtureSet {
  readonly endpoint: Endpoint
  readonly gatewayUrl: string
}

/** What its loop took. */
export interface FloorAnswer {
  readonly elapsedMs: number
  readonly cpuMs: number
}

const { endpoint, fixtures, gatewayUrl, namespace } = (await json(process.stdin)) as FloorTask
const api = new Api(endpoint)
const minimal = new MinimalSync(api, gatewayUrl)
// Connecting is not measured.
await api.json(`/api/v1/namespaces/${namespace}`)
const [startedAt, cpuBefore] = [performance.now(), process.cpuUsage()]
await inFlight(floorConcurrency, fixtures, (fixture) => minimal.sync(namespace, fixture))
const elapsedMs = performance.now() - startedAt
const { system, user } = process.cpuUsage(cpuBefore)
process.stdout.write(`${JSON.stringify({ elapsedMs, cpuMs: (system + user) / 1000 } satisfies FloorAnswer)}\n`)
// It stays until it is ended, so that its memory can be looked at.
const stay = setInterval(() => undefined, 60_000)
process.once('SIGTERM', () => {
  clearInterval(stay)
  void Promise.all([api.close(), minimal.close()])
})
