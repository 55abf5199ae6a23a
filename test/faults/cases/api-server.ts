import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { delay, eventually } from '../../integration/harness.ts'
import { type ApiFault, type ApiFaults, ApiProxy, type ApiRequest } from '../api-proxy.ts'
import type { FaultCase } from '../fault-case.ts'
import { TcpProxy } from '../tcp-proxy.ts'
import type { World } from '../world.ts'

const proxies = new WeakMap<World, ApiProxy>()

function proxyOf(world: World): ApiProxy {
  const proxy = proxies.get(world)
  if (proxy === undefined) throw new Error('this world has no proxy')
  return proxy
}

async function throughProxy(world: World): Promise<string> {
  const proxy = await ApiProxy.start(world.harness.access.operatorKubeconfig)
  proxies.set(world, proxy)
  world.cleanUps.push(() => proxy.close())
  return proxy.kubeconfig
}

const status = (code: number, reason: string, retryAfterSeconds?: number): ApiFault => {
  return { kind: 'status', code, reason, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) }
}
const isWrite = ({ method }: ApiRequest): boolean => method !== 'GET'

/** A fault of requests through a proxy; the test fails unless the fault struck at least one. */
function requestFault(
  name: string,
  expected: string,
  faults: () => ApiFaults,
  rest: Partial<FaultCase> = {},
): FaultCase {
  return {
    name,
    expected,
    world: { kubeconfig: throughProxy },
    begin: (world) => {
      proxyOf(world).setFaults(faults())
    },
    end: (world) => {
      proxyOf(world).setFaults(() => undefined)
    },
    after: (world) => {
      expect(proxyOf(world).struck).toBeGreaterThan(0)
    },
    ...rest,
  }
}

/** @returns a function that is true at every `count`th call */
function every(count: number): () => boolean {
  let seen = 0
  return () => ++seen % count === 0
}

export const apiServerFaults: readonly FaultCase[] = [
  {
    name: 'the API server keeps connections open and sends nothing',
    expected: 'HTTP/2 pings find it within 30 s; a token that is due meanwhile is written then',
    world: { lifetimeSeconds: 80, kubeconfig: throughTcp },
    holdMs: 30_000,
    begin: (world) => {
      tunnelOf(world).freeze()
    },
    end: (world) => {
      tunnelOf(world).thaw()
    },
    recoverWithinMs: 20_000,
  },
  requestFault(
    'the API server answers every LIST with 503 while the operator starts',
    'the operator is not ready, and takes over when the answers come',
    () => (request) => (isList(request) ? status(503, 'ServiceUnavailable') : undefined),
    {
      begin: async (world) => {
        proxyOf(world).setFaults((request) => (isList(request) ? status(503, 'ServiceUnavailable') : undefined))
        await kill(world)
        await world.startOperator()
        await eventually(async () => expect(await world.operator.probe('/readyz')).toBe(503))
      },
    },
  ),
  requestFault(
    'the API server answers every WATCH with 500',
    'renewals go on; the watch is retried with backoff',
    () =>
      ({ isWatch }) =>
        isWatch ? status(500, 'InternalError') : undefined,
    {
      begin: (world) => {
        proxyOf(world).setFaults(({ isWatch }) => (isWatch ? status(500, 'InternalError') : undefined))
        expect(proxyOf(world).cutWatches()).toBeGreaterThanOrEqual(2)
      },
    },
  ),
  requestFault(
    'the API server resets every watch ten times a second',
    'renewals go on; watches resume with backoff from the last resourceVersion',
    () => () => undefined,
    {
      during: async (world) => {
        for (let times = 0; times < 30; times++) {
          proxyOf(world).cutWatches()
          await delay(100)
        }
      },
      after: () => undefined,
    },
  ),
  requestFault(
    'the API server answers watches with 410 Gone',
    'everything is listed anew; nothing is written without need',
    () =>
      ({ isWatch }) =>
        isWatch ? status(410, 'Expired') : undefined,
    {
      begin: (world) => {
        proxyOf(world).setFaults(({ isWatch }) => (isWatch ? status(410, 'Expired') : undefined))
        proxyOf(world).cutWatches()
      },
    },
  ),
  requestFault(
    'the API server answers everything with 429 and Retry-After: 1',
    'refused calls are retried when the fault ends',
    () => () => status(429, 'TooManyRequests', 1),
  ),
  requestFault(
    'the API server answers every second write with 409',
    'the object is read again and the plan made again',
    () => {
      const isSecond = every(2)
      return (request) => (isWrite(request) && isSecond() ? status(409, 'Conflict') : undefined)
    },
  ),
  requestFault('the API server answers every second write with 500', 'retried with backoff', () => {
    const isSecond = every(2)
    return (request) => (isWrite(request) && isSecond() ? status(500, 'InternalError') : undefined)
  }),
  requestFault('the API server resets every third request', 'retried with backoff', () => {
    const isThird = every(3)
    return ({ isWatch }) => (!isWatch && isThird() ? { kind: 'reset' } : undefined)
  }),
  requestFault('the API server delays each answer by a second', 'renewed a second later', () => ({ isWatch }) => {
    return isWatch ? undefined : { kind: 'delay', ms: 1000 }
  }),
  requestFault('the API server refuses status writes', 'targets get their tokens all the same', () => ({ path }) => {
    return path.includes('/status') ? status(503, 'ServiceUnavailable') : undefined
  }),
  requestFault(
    'the API server answers 403 for another watched namespace',
    'this namespace is renewed as usual',
    () =>
      ({ path }) =>
        path.includes('/namespaces/default/') ? status(403, 'Forbidden') : undefined,
    {
      world: {
        kubeconfig: throughProxy,
        operator: { args: ['--namespace', 'default'] },
      },
      begin: (world) => {
        proxyOf(world).setFaults(({ path }) => {
          return path.includes('/namespaces/default/') ? status(403, 'Forbidden') : undefined
        })
        proxyOf(world).cutWatches()
      },
    },
  ),
  {
    name: 'the API server breaks every connection each second',
    expected: 'the operator reconnects and goes on',
    world: { kubeconfig: throughTcp },
    begin: () => undefined,
    during: async (world) => {
      for (let times = 0; times < 4; times++) {
        tunnelOf(world).cut()
        await delay(1000)
      }
    },
  },
  {
    name: 'the API server accepts only the token rotated into the token file',
    expected: 'the file is read again when the old token is refused',
    world: { kubeconfig: withTokenFile },
    begin: async (world) => {
      const file = tokenFiles.get(world) ?? ''
      proxyOf(world).setFaults(({ token }) => (token === 'token-2' ? undefined : status(401, 'Unauthorized')))
      proxyOf(world).cutWatches()
      await delay(500)
      await writeFile(file, 'token-2')
    },
    after: (world) => {
      expect(proxyOf(world).struck).toBeGreaterThan(0)
    },
  },
]

function isList({ isWatch, method, path }: ApiRequest): boolean {
  return method === 'GET' && !isWatch && path.includes('limit=')
}

async function kill(world: World): Promise<void> {
  world.operator.signal('SIGKILL')
  await world.operator.exited()
}

const tunnels = new WeakMap<World, TcpProxy>()

function tunnelOf(world: World): TcpProxy {
  const tunnel = tunnels.get(world)
  if (tunnel === undefined) throw new Error('this world has no tunnel')
  return tunnel
}

async function throughTcp(world: World): Promise<string> {
  const original = await readFile(world.harness.access.operatorKubeconfig, 'utf8')
  const [server = '', port = ''] = /https:\/\/127\.0\.0\.1:(\d+)/.exec(original) ?? []
  const tunnel = await TcpProxy.start({ port: Number(port) })
  tunnels.set(world, tunnel)
  const directory = await mkdtemp(join(tmpdir(), 'tunnel-'))
  world.cleanUps.push(() => tunnel.close())
  world.cleanUps.push(() => rm(directory, { recursive: true }))
  const file = join(directory, 'config')
  await writeFile(file, original.replace(server, `https://127.0.0.1:${tunnel.port}`))
  return file
}

const tokenFiles = new WeakMap<World, string>()

async function withTokenFile(world: World): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'token-'))
  const tokenFile = join(directory, 'token')
  await writeFile(tokenFile, 'token-1')
  tokenFiles.set(world, tokenFile)
  const proxy = await ApiProxy.start(world.harness.access.operatorKubeconfig, {
    authProvider: { name: 'tokenFile', config: { tokenFile } },
  })
  proxies.set(world, proxy)
  world.cleanUps.push(() => proxy.close())
  world.cleanUps.push(() => rm(directory, { recursive: true }))
  return proxy.kubeconfig
}
