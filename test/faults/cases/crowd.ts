import { readFile } from 'node:fs/promises'
import { expect } from 'vitest'
import { credentials, type KubernetesObject } from '../../../src/kubernetes/types.ts'
import { missingFlags, runtimeEnvironment } from '../../../src/runtime-flags.ts'
import { delay, eventually } from '../../integration/harness.ts'
import { selfSigned } from '../../support/certificate.ts'
import type { FaultCase } from '../fault-case.ts'
import type { World } from '../world.ts'

const many = 2000
const maxMiB = 128
/** Flags and environment of the image under this limit. */
const inContainerOf128MiB = {
  nodeArgs: missingFlags({
    execArgv: [],
    environment: {},
    memory: { limit: maxMiB * 1024 * 1024, machine: Number.MAX_SAFE_INTEGER },
  }),
  env: runtimeEnvironment,
}
const bad = 1000
const untrusting = 200
const certificate = selfSigned()
const trusting = { allowInsecureHTTP: false, caRef: { kind: 'ConfigMap', name: 'gateway-ca' } }
/** Maximum time to sync a good resource while the bad ones are retried. */
const goodWithinMs = 5000

export const crowdFaults: readonly FaultCase[] = [
  {
    name: `${many} resources are created and deleted at once`,
    expected: `all are synced in ${maxMiB} MiB of memory; the others are renewed in time`,
    world: { hasCrowd: true, lifetimeSeconds: 120, operator: inContainerOf128MiB },
    when: 'now',
    begin: async (world) => {
      await create(world, many, 'all', () => ({}))
      await eventually(
        async () => {
          expect(await anonymousMiB(world)).toBeLessThan(maxMiB)
          expect(await ready(world)).toBe(many)
        },
        300_000,
        2000,
      )
      expect(await anonymousMiB(world)).toBeLessThan(maxMiB)
    },
    during: removeAll,
  },
  {
    name: `${bad} resources fail: no source, a wrong appSecret, a dead gateway`,
    expected: `each status says why; a good resource is synced within ${goodWithinMs / 1000} s`,
    world: { hasCrowd: true, lifetimeSeconds: 40 },
    when: 'now',
    begin: async (world) => {
      await create(world, bad, 'bad', (at) => {
        if (at % 3 === 0) return { appSecretRef: { name: 'nowhere' } }
        if (at % 3 === 1) return { appSecretRef: { name: 'wrong' } }
        return { gateway: { url: 'http://127.0.0.1:1', allowInsecureHTTP: true } }
      })
      await eventually(async () => expect(await failed(world)).toBe(bad), 300_000, 1000)
    },
    during: async (world) => {
      for (let times = 0; times < 3; times++) {
        const begun = performance.now()
        await create(world, 1, `good-${times}`, () => ({}))
        await eventually(async () => expect(await ready(world)).toBe(times + 1), goodWithinMs)
        expect(performance.now() - begun).toBeLessThan(goodWithinMs)
      }
      await removeAll(world)
    },
  },
  {
    name: `${untrusting} resources with an application each do not trust the gateway’s certificate`,
    expected: `each status says why; the circuit stays closed; a good resource is synced within ${goodWithinMs / 1000} s`,
    world: {
      hasCrowd: true,
      gateway: { tls: certificate },
      gatewaySpec: async ({ harness, namespace }) => {
        await harness.createConfigMap(namespace, 'gateway-ca', { 'ca.crt': certificate.cert })
        return trusting
      },
    },
    when: 'now',
    begin: async (world) => {
      const { crowd, gateway, harness } = world
      const appKeys = Array.from({ length: untrusting }, (_, at) => [`key-${at}`, harness.keys().appKey] as const)
      await harness.createSecret(crowd, 'applications', Object.fromEntries(appKeys))
      await harness.createConfigMap(crowd, 'gateway-ca', { 'ca.crt': certificate.cert })
      await create(world, untrusting, 'untrusting', (at) => ({
        gateway: { url: gateway.url },
        appKeyRef: { name: 'applications', key: `key-${at}` },
      }))
      await eventually(async () => expect(await failed(world)).toBe(untrusting), 120_000, 500)
    },
    during: async (world) => {
      await create(world, 1, 'good', () => ({ gateway: { url: world.gateway.url, ...trusting } }))
      await eventually(async () => expect(await ready(world)).toBe(1), goodWithinMs)
      expect(await world.operator.metric('enos_gateway_circuit_open')).toBe(0)
      await removeAll(world)
    },
  },
  {
    name: 'a namespace with resources and Merge targets is deleted',
    expected: 'the namespace is gone within 20 s',
    world: { hasCrowd: true },
    when: 'now',
    begin: async (world) => {
      await world.harness.createSecret(world.crowd, 'shared', { password: 'untouchable' })
      await create(world, 20, 'leaving', (at) => ({
        targets: [{ name: 'shared', creationPolicy: 'Merge', data: { [`token-${at}`]: '{{ accessToken }}' } }],
      }))
      await eventually(async () => expect(await ready(world)).toBe(20), 20_000)
      await world.harness.kubectl(['delete', 'namespace', world.crowd, '--timeout=20s'])
    },
  },
]

/** Creates resources of the application `own`, so that one call serves all of them. */
async function create(
  world: World,
  count: number,
  prefix: string,
  specOf: (at: number) => Record<string, unknown>,
): Promise<void> {
  const { crowd, gateway, harness, own } = world
  if ((await harness.getSecret(crowd, 'app')) === undefined) {
    await harness.createSecret(crowd, 'app', { ...own })
    await harness.createSecret(crowd, 'wrong', { ...own, appSecret: harness.keys().appSecret })
  }
  const names = Array.from({ length: count }, (_, at) => at)
  const work = async (): Promise<void> => {
    for (let at = names.pop(); at !== undefined; at = names.pop()) {
      const name = `${prefix}-${at}`
      await harness.admin.create(credentials, crowd, {
        apiVersion: 'enos.io/v1alpha1',
        kind: 'EnosAppCredential',
        metadata: { name },
        spec: {
          gateway: { url: gateway.url, allowInsecureHTTP: true },
          appKeyRef: { name: 'app' },
          appSecretRef: { name: 'app' },
          targets: [{ name: `${name}-token` }],
          ...specOf(at),
        },
      })
    }
  }
  await Promise.all(Array.from({ length: 16 }, work))
}

async function withReady(world: World, status: string): Promise<number> {
  const { items } = await world.harness.admin.list<
    KubernetesObject & { status?: { conditions?: { type: string; status: string }[] } }
  >(credentials, world.crowd)
  return items.filter((one) => one.status?.conditions?.some((its) => its.type === 'Ready' && its.status === status))
    .length
}

const ready = (world: World): Promise<number> => withReady(world, 'True')
const failed = (world: World): Promise<number> => withReady(world, 'False')

async function removeAll(world: World): Promise<void> {
  await world.harness.kubectl(['-n', world.crowd, 'delete', 'enosappcredentials', '--all', '--wait=false'])
  await eventually(async () => expect((await ready(world)) + (await failed(world))).toBe(0), 60_000, 500)
  await delay(1000)
}

/** Anonymous memory: the kernel reclaims file pages before it kills a container. */
async function anonymousMiB(world: World): Promise<number> {
  const text = await readFile(`/proc/${world.operator.pid}/status`, 'utf8')
  return Number(/RssAnon:\s+(\d+) kB/.exec(text)?.[1]) / 1024
}
