import type { Fault } from '../../../simulator/faults.ts'
import { type ApiFault, ApiProxy } from '../api-proxy.ts'
import type { World } from '../world.ts'
import { type WorldOptions } from '../world.ts'

/** A fault of a random run. `end` undoes a fault that lasts. */
export interface RandomFault {
  readonly name: string
  readonly begin: (world: World, random: () => number) => unknown
  readonly end?: (world: World, random: () => number) => unknown
}

const proxies = new WeakMap<World, ApiProxy>()

const gatewayFaults: readonly Fault[] = [
  { kind: 'reset' },
  { kind: 'hang' },
  { kind: 'hangBody' },
  { kind: 'truncate' },
  { kind: 'slow', delayMs: 500 },
  { kind: 'http', status: 503 },
  { kind: 'http', status: 429, headers: { 'retry-after': '1' } },
  { kind: 'http', status: 200, body: '<html>' },
  { kind: 'status', status: 1001 },
  { kind: 'status', status: 1003 },
  { kind: 'status', status: 1005 },
]

const apiFaults: readonly ApiFault[] = [
  { kind: 'status', code: 409, reason: 'Conflict' },
  { kind: 'status', code: 500, reason: 'InternalError' },
  { kind: 'status', code: 429, reason: 'TooManyRequests', retryAfterSeconds: 1 },
  { kind: 'delay', ms: 300 },
  { kind: 'reset' },
]

const catalogue: readonly RandomFault[] = [
  ...gatewayFaults.map((fault): RandomFault => ({
    name: `gateway: ${JSON.stringify(fault)}`,
    begin: ({ gateway }) => gateway.setFaults([{ fault }]),
    end: ({ gateway }) => gateway.setFaults([]),
  })),
  {
    name: 'gateway: down',
    begin: ({ gateway }) => gateway.setOutage(true),
    end: ({ gateway }) => gateway.setOutage(false),
  },
  ...apiFaults.map((fault): RandomFault => ({
    name: `API server: ${JSON.stringify(fault)} for every other request`,
    begin: (world, random) => {
      proxies.get(world)?.setFaults(({ isWatch }) => (!isWatch && random() < 0.5 ? fault : undefined))
    },
    end: (world) => {
      proxies.get(world)?.setFaults(() => undefined)
    },
  })),
  { name: 'API server: all watches cut', begin: (world) => proxies.get(world)?.cutWatches() },
  {
    name: 'operator: killed and started again',
    begin: async (world) => {
      world.operator.signal('SIGKILL')
      await world.operator.exited()
      await world.startOperator()
    },
  },
  {
    name: 'operator: stopped and started again',
    begin: async (world) => {
      await world.operator.end()
      await world.startOperator()
    },
  },
  {
    name: 'operator: paused',
    begin: (world) => {
      world.operator.signal('SIGSTOP')
    },
    end: (world) => {
      world.operator.signal('SIGCONT')
    },
  },
  {
    name: 'edit: a label of a target',
    begin: async ({ harness, namespace }, random) => {
      const targets = [{ name: 'first-token', labels: { edition: `e${Math.floor(random() * 1e6)}` } }]
      await harness.patchCredential(namespace, 'first', { spec: { targets } })
    },
  },
  { name: 'edit: a target deleted', begin: (world, random) => spoil(world, random, (name) => remove(world, name)) },
  {
    name: 'edit: a target altered',
    begin: (world, random) =>
      spoil(world, random, (name) => {
        return world.harness.patchSecret(world.namespace, name, { data: { accessToken: 'c3BvaWx0' } })
      }),
  },
  {
    name: 'edit: a source deleted and made again',
    begin: async (world) => {
      await remove(world, 'third-app')
      await world.harness.createSecret(world.namespace, 'third-app', { ...world.own })
    },
  },
]

/** The faults of a random run. */
export const randomFaults = {
  world: {
    lifetimeSeconds: 40,
    kubeconfig: async (world: World) => {
      const proxy = await ApiProxy.start(world.harness.access.operatorKubeconfig)
      proxies.set(world, proxy)
      world.cleanUps.push(() => proxy.close())
      return proxy.kubeconfig
    },
  } satisfies WorldOptions,
  /** One fault, or two of different kinds at once; two kills would be the same fault. */
  pick: (random: () => number): RandomFault[] => {
    const [first, second] = [anyOf(catalogue, random), anyOf(catalogue, random)]
    return random() < 0.5 || kindOf(first) === kindOf(second) ? [first] : [first, second]
  },
}

function anyOf<T>(all: readonly T[], random: () => number): T {
  const one = all[Math.floor(random() * all.length)]
  if (one === undefined) throw new RangeError('the list is empty')
  return one
}

/** The part before the colon: gateway, API server, operator, edit. */
function kindOf({ name }: RandomFault): string {
  return name.split(':', 1).join()
}

async function spoil(world: World, random: () => number, how: (name: string) => Promise<unknown>): Promise<void> {
  const name = ['first-token', 'second-token', 'third-token'][Math.floor(random() * 3)] ?? 'first-token'
  await world.spoil(name, () => how(name))
}

async function remove({ harness, namespace }: World, name: string): Promise<void> {
  if ((await harness.getSecret(namespace, name)) !== undefined) await harness.deleteSecret(namespace, name)
}
