import { beforeAll, describe, expect, it } from 'vitest'
import type { Simulator } from '../../simulator/server.ts'
import { leases } from '../../src/kubernetes/types.ts'
import { delay, eventually, type Keys, useHarness } from './harness.ts'
import type { OperatorProcess } from './operator-process.ts'

const harness = useHarness()
let gateway: Simulator
let namespace: string
let operators: Readonly<Record<'a' | 'b', OperatorProcess>>

beforeAll(async () => {
  gateway = await harness().gateway({ lifetimeSeconds: 7200 })
  namespace = await harness().namespace()
  await allowLeases()
  operators = { a: await shard('a'), b: await shard('b') }
})

/** The shipped Role allows the default name of the Lease only. */
async function allowLeases(): Promise<void> {
  const create = async (args: readonly string[]): Promise<void> => {
    await harness().kubectl(['-n', namespace, 'create', ...args])
  }
  await create(['role', 'shards', '--verb=create,get,watch,update', '--resource=leases.coordination.k8s.io'])
  await create(['rolebinding', 'shards', '--role=shards', '--serviceaccount=enos-system:enos-credential-operator'])
}

async function shard(name: string): Promise<OperatorProcess> {
  const args = ['--leader-elect-namespace', namespace, '--leader-elect-lease-name', `shard-${name}`]
  const env = { ENOS_NAMESPACE: namespace, ENOS_WATCH_LABEL_SELECTOR: `shard=${name}` }
  return await (await harness().operator({ args, env })).working()
}

/** Creates a resource that no operator selects yet, so that its shard is set before its first reconcile. */
async function create(name: string, inShard: 'a' | 'b', spec: Record<string, unknown> = {}): Promise<Keys> {
  const keys = harness().keys()
  gateway.service.addApplication(keys)
  await harness().createCredential(namespace, name, gateway, keys, spec)
  await moveTo(name, inShard)
  return keys
}

async function moveTo(name: string, inShard: string): Promise<void> {
  await harness().patchCredential(namespace, name, { metadata: { labels: { shard: inShard } } })
}

const merge = (name: string, data: Record<string, string>, rest: object = {}): Record<string, unknown> => ({
  targets: [{ name, creationPolicy: 'Merge', data, ...rest }],
})
const token = '{{ accessToken }}'
const current = ({ appKey }: Keys): string | undefined => gateway.service.currentToken(appKey)
const isKnownTo = async (operator: OperatorProcess, name: string): Promise<boolean> =>
  (await operator.metric('enos_credential_info', { name })) > 0

describe('two operators with different label selectors', () => {
  it('each operator leads by a Lease of its own and works only on the resources that match', async () => {
    await create('of-a', 'a')
    await create('of-b', 'b')
    const keys = harness().keys()
    gateway.service.addApplication(keys)
    await harness().createCredential(namespace, 'unselected', gateway, keys)
    await harness().expectReady(namespace, 'of-a')
    await harness().expectReady(namespace, 'of-b')
    for (const name of ['shard-a', 'shard-b']) await harness().admin.get(leases, { namespace, name })
    // The metrics follow the operators' watches.
    await eventually(async () => {
      expect(await Promise.all([isKnownTo(operators.a, 'of-a'), isKnownTo(operators.a, 'of-b')])).toEqual([true, false])
      expect(await Promise.all([isKnownTo(operators.b, 'of-a'), isKnownTo(operators.b, 'of-b')])).toEqual([false, true])
    })
    expect(await harness().condition(namespace, 'unselected', 'Ready')).toBe('none')
    expect(gateway.calls.filter(({ appKey }) => appKey === keys.appKey)).toEqual([])
  })

  it('two shards that merge into one Secret take no key from each other', async () => {
    await harness().createSecret(namespace, 'shared', { own: 'value' })
    const a = await create('merge-a', 'a', merge('shared', { A: token }))
    const b = await create('merge-b', 'b', merge('shared', { B: token }))
    await harness().expectReady(namespace, 'merge-a')
    await harness().expectReady(namespace, 'merge-b')
    await create('merge-wants-b', 'a', merge('shared', { B: token }))
    await harness().expectCondition(namespace, 'merge-wants-b', 'Ready', 'False/TargetConflict')
    const expected = { own: 'value', A: current(a), B: current(b) }
    expect(await harness().data(namespace, 'shared')).toEqual(expected)
    await harness().deleteCredential(namespace, 'merge-a')
    await eventually(async () => {
      expect(await harness().data(namespace, 'shared')).toEqual({ own: 'value', B: current(b) })
    })
    // The key is free once the resource of the other shard has given it up.
    await harness().deleteCredential(namespace, 'merge-b')
    await harness().expectReady(namespace, 'merge-wants-b')
  })

  it('a retained Secret of the other shard is foreign, as owned and as merged target', async () => {
    const a = await create('keeper', 'a', { targets: [{ name: 'retained', deletionPolicy: 'Retain' }] })
    await harness().expectReady(namespace, 'keeper')
    const before = await harness().getSecret(namespace, 'retained')
    await create('wants-whole', 'b', { targets: [{ name: 'retained' }] })
    await create('wants-key', 'b', merge('retained', { more: token }))
    await harness().expectCondition(namespace, 'wants-whole', 'Ready', 'False/TargetConflict')
    await harness().expectCondition(namespace, 'wants-key', 'Ready', 'False/TargetConflict')
    const after = await harness().getSecret(namespace, 'retained')
    expect(after?.metadata.resourceVersion).toBe(before?.metadata.resourceVersion)
    expect((await harness().data(namespace, 'retained'))?.['accessToken']).toBe(current(a))
    // Nobody owns the Secret once its resource is deleted, so keys may be added.
    await harness().deleteCredential(namespace, 'keeper')
    await harness().expectReady(namespace, 'wants-key')
    expect(await harness().condition(namespace, 'wants-whole', 'Ready')).toBe('False/TargetConflict')
  })

  it('a relabelled resource moves to the other shard with Secrets and finalizer, without a call or a write', async () => {
    await harness().createSecret(namespace, 'moved-merged', { own: 'value' })
    const targets = [{ name: 'moved-token' }, { name: 'moved-merged', creationPolicy: 'Merge', data: { M: token } }]
    const keys = await create('moved', 'a', { targets })
    await harness().expectReady(namespace, 'moved')
    await eventually(async () => expect(await isKnownTo(operators.a, 'moved')).toBe(true))
    const versions = async () => {
      const found = await Promise.all(targets.map(({ name }) => harness().getSecret(namespace, name)))
      return found.map((secret) => [secret?.metadata.uid, secret?.metadata.resourceVersion])
    }
    const before = await versions()
    await moveTo('moved', 'b')
    await eventually(async () => {
      expect(await isKnownTo(operators.a, 'moved')).toBe(false)
      expect(await isKnownTo(operators.b, 'moved')).toBe(true)
    })
    await delay(500)
    expect(await versions()).toEqual(before)
    await harness().expectReady(namespace, 'moved')
    expect(gateway.calls.filter(({ appKey }) => appKey === keys.appKey)).toHaveLength(1)
    expect((await harness().getCredential(namespace, 'moved')).metadata.finalizers).toEqual(['enos.io/merge-cleanup'])

    // The new shard works on it: it corrects the Secret, in place.
    await harness().patchSecret(namespace, 'moved-token', { stringData: { accessToken: 'spoilt' } })
    await eventually(async () => {
      expect((await harness().data(namespace, 'moved-token'))?.['accessToken']).toBe(current(keys))
    })
    expect((await versions())[0]?.[0]).toBe(before[0]?.[0])
    await harness().deleteCredential(namespace, 'moved')
    await eventually(async () => expect(await harness().data(namespace, 'moved-merged')).toEqual({ own: 'value' }))
  })

  it('a resource that no operator selects keeps its Secrets, and its finalizer blocks the deletion', async () => {
    await harness().createSecret(namespace, 'left-merged', { own: 'value' })
    const keys = await create('left', 'a', merge('left-merged', { L: token }))
    await harness().expectReady(namespace, 'left')
    await moveTo('left', 'none')
    await eventually(async () => expect(await isKnownTo(operators.a, 'left')).toBe(false))
    await harness().deleteCredential(namespace, 'left')
    await delay(1000)
    expect((await harness().getCredential(namespace, 'left')).metadata.deletionTimestamp).toBeDefined()
    expect(await harness().data(namespace, 'left-merged')).toEqual({ own: 'value', L: current(keys) })
    await moveTo('left', 'b')
    await eventually(async () => expect(await harness().data(namespace, 'left-merged')).toEqual({ own: 'value' }))
  })
})
