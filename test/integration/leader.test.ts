import { beforeAll, describe, expect, it } from 'vitest'
import type { Simulator } from '../../simulator/server.ts'
import { type KubernetesObject, leases } from '../../src/kubernetes/types.ts'
import { delay, eventually, useHarness } from './harness.ts'
import type { OperatorProcess } from './operator-process.ts'

const harness = useHarness()
let gateway: Simulator
let namespace: string

interface Lease extends KubernetesObject {
  readonly spec: {
    readonly holderIdentity?: string
    readonly leaseDurationSeconds?: number
    readonly renewTime?: string
  }
}

beforeAll(async () => {
  gateway = await harness().gateway({ lifetimeSeconds: 7200 })
  namespace = await harness().namespace()
})

/** The Lease of the manifests: the shipped Role allows this name and namespace only. */
async function replica(): Promise<OperatorProcess> {
  return await harness().operator({ args: ['--leader-elect-namespace', 'enos-system', '--namespace', namespace] })
}

async function lease(): Promise<Lease> {
  return await harness().admin.get<Lease>(leases, { namespace: 'enos-system', name: 'enos-credential-operator' })
}

async function createCredential(name: string): Promise<void> {
  const keys = harness().keys()
  gateway.service.addApplication(keys)
  await harness().createCredential(namespace, name, gateway, keys)
}

const isWorking = (operator: OperatorProcess): boolean => operator.output.includes('caches synced, starting workers')

describe('leader election', () => {
  it('one replica works, with a Lease as of client-go, and the other stands by ready', async () => {
    const first = await (await replica()).working()
    const second = await replica()
    await createCredential('one')
    await harness().expectReady(namespace, 'one')
    await eventually(async () => expect(await second.probe('/readyz')).toBe(200))
    expect(await second.probe('/healthz')).toBe(200)
    expect(isWorking(second)).toBe(false)
    expect(await first.metric('leader_election_master_status')).toBe(1)
    expect(await second.metric('leader_election_master_status')).toBe(0)
    // The series of the resources come from the leader alone.
    for (const name of ['enos_credential_targets', 'enos_credential_info', 'enos_credential_renewals_total']) {
      expect(await second.metric(name)).toBe(0)
    }
    // They follow the leader's watch.
    await eventually(async () => {
      expect(await first.metric('enos_credential_targets', { name: 'one' })).toBe(1)
      expect(await first.metric('enos_credential_info', { name: 'one', host: new URL(gateway.url).host })).toBe(1)
    })
    for (const resource of ['secrets', 'enosappcredentials']) {
      const contactAt = await second.metric('enos_watch_last_contact_timestamp_seconds', { resource })
      expect(Math.abs(contactAt - Date.now() / 1000)).toBeLessThan(120)
    }
    const { spec } = await lease()
    expect(spec).toMatchObject({ leaseDurationSeconds: 15, renewTime: expect.stringMatching(/\.\d{6}Z$/) as string })

    // A stop releases the lease, which the standby watches.
    expect(await first.end()).toBe(0)
    await second.working()
    const at = (one: OperatorProcess, message: string): number =>
      Date.parse(String(one.log().find(({ msg }) => msg === message)?.['time']))
    const handoverMs = at(second, 'acquired the lease, leading') - at(first, 'released the lease')
    expect(handoverMs).toBeLessThanOrEqual(1000)
    expect((await lease()).spec.holderIdentity).not.toBe(spec.holderIdentity)
    await createCredential('two')
    await harness().expectReady(namespace, 'two')
    expect(await second.end()).toBe(0)
  })

  it('a replica takes over from a killed one within 17 s', async () => {
    const first = await (await replica()).working()
    const second = await replica()
    // The standby has seen a renewal.
    await eventually(() => expect(second.output).toContain('lease not acquired'))
    await delay(3000)
    const killedAt = performance.now()
    first.signal('SIGKILL')
    await second.working(40_000)
    expect(performance.now() - killedAt).toBeLessThanOrEqual(17_000)
    expect(second.output).toContain('the watched lease was released or has expired')
    expect(await second.end()).toBe(0)
  })

  it('a replica paused past its lease sends nothing more and exits when resumed', async () => {
    const first = await (await replica()).working()
    const second = await replica()
    await createCredential('before')
    await harness().expectReady(namespace, 'before')
    first.signal('SIGSTOP')
    await createCredential('while-paused')
    await second.working(40_000)
    await harness().expectReady(namespace, 'while-paused')
    gateway.clearCalls()
    first.signal('SIGCONT')
    // The lease has expired: exit code 1 makes the kubelet restart it.
    expect(await first.exited()).toBe(1)
    await delay(500)
    expect(gateway.calls).toEqual([])
    expect(first.output).not.toContain('while-paused')
    await createCredential('after')
    await harness().expectReady(namespace, 'after')
    expect(await second.end()).toBe(0)
  }, 90_000)
})
