import { afterAll, beforeAll, expect, it } from 'vitest'
import { ApiConnections } from '../../src/kubernetes/api-connections.ts'
import { ApiServerAuth } from '../../src/kubernetes/auth.ts'
import { chooseKubeconfig } from '../../src/kubernetes/kubeconfig.ts'
import { SystemClock } from '../../src/lib/clock.ts'
import { type Cluster, startCluster } from '../control-plane/cluster.ts'

let cluster: Cluster | undefined
let connections: ApiConnections | undefined

beforeAll(async () => {
  // The largest chance that kube-apiserver takes: GOAWAY after one request in 50.
  const apiServerFlags = { 'goaway-chance': '0.02' }
  cluster = await startCluster({ environment: process.env, log: () => undefined, apiServerFlags })
})

afterAll(async () => {
  await connections?.destroy()
  await cluster?.stop()
})

it('an API server that sends GOAWAY again and again fails no call and leaves no pools behind', async () => {
  const { load } = chooseKubeconfig({ environment: { KUBECONFIG: cluster?.kubeconfig } })
  const connection = await new ApiServerAuth(load, new SystemClock()).current()
  const opened = (connections = new ApiConnections(connection))
  const { calls, watches } = opened
  const connects = { calls: 0, watches: 0 }
  calls.on('connect', () => connects.calls++)
  watches.on('connect', () => connects.watches++)
  const get = async (): Promise<number> => {
    const path = '/api/v1/namespaces/default'
    const { body, statusCode } = await opened.request('calls', { origin: connection.server, path, method: 'GET' })
    await body.dump()
    return statusCode
  }
  // A watch of one second, which ends by itself.
  const watch = async (): Promise<number> => {
    const path = '/api/v1/secrets?watch=true&timeoutSeconds=1'
    const { body, statusCode } = await opened.request('watches', { origin: connection.server, path, method: 'GET' })
    await body.dump({ limit: 1024 * 1024 })
    return statusCode
  }
  // Longer where chance sent fewer: in 40 rounds fewer than four watches in 70 runs of one.
  for (let round = 0; round < 40 || (connects.watches <= 3 && round < 80); round++) {
    const answers = await Promise.all([...Array.from({ length: 50 }, get), ...Array.from({ length: 10 }, watch)])
    expect(answers.filter((status) => status !== 200)).toEqual([])
  }
  expect(connects.calls).toBeGreaterThan(10)
  expect(connects.watches).toBeGreaterThan(3)
  // For each dispatcher the present pool, and the one before that has not been removed yet.
  expect(connections.poolCount).toBeLessThanOrEqual(4)
}, 120_000)
