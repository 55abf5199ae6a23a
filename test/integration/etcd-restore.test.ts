import { afterAll, expect, it } from 'vitest'
import { type Cluster, startCluster } from '../control-plane/cluster.ts'
import { eventually, useHarness } from './harness.ts'

/** A control plane of its own: a restore takes the objects of other tests away. */
let cluster: Cluster | undefined

// Before the harness, so that the cluster stops after it.
afterAll(() => cluster?.stop())

const harness = useHarness(
  async () => (cluster = await startCluster({ environment: process.env, log: () => undefined })),
)

it('the operator follows a restore of etcd without a restart', { timeout: 180_000 }, async () => {
  const gateway = await harness().gateway({ lifetimeSeconds: 7200 })
  const namespace = await harness().namespace()
  const operator = await (await harness().operator({ args: ['--no-leader-elect', '--namespace', namespace] })).working()
  const create = async (name: string): Promise<void> => {
    const keys = harness().keys()
    gateway.service.addApplication(keys)
    await harness().createCredential(namespace, name, gateway, keys)
  }
  const series = async (): Promise<string[]> => {
    const found = (await operator.metrics()).matchAll(/^enos_credential_targets\{namespace="[^"]*",name="([^"]*)"\}/gm)
    return [...found].map(([, name = '']) => name).toSorted()
  }
  for (const name of ['kept', 'revived']) await create(name)
  for (const name of ['kept', 'revived']) await harness().expectReady(namespace, name)

  await cluster?.restoreEtcd(async () => {
    await eventually(() => create('lost'), 30_000)
    await harness().expectReady(namespace, 'lost', 30_000)
    await harness().deleteCredential(namespace, 'revived')
    await eventually(async () => expect(await series()).toEqual(['kept', 'lost']))
    // More revisions than the restored API server makes until the operator has reconnected.
    for (let i = 0; i < 200; i++) {
      await harness().patchSecret(namespace, 'kept-app', { metadata: { annotations: { revision: String(i) } } })
    }
  })

  await eventually(() => create('new'), 30_000)
  await harness().expectReady(namespace, 'new', 60_000)
  expect((await harness().data(namespace, 'new-token'))?.['accessToken']).toBeDefined()
  await eventually(async () => expect(await series()).toEqual(['kept', 'new', 'revived']))
  await harness().expectReady(namespace, 'revived')

  await harness().deleteCredential(namespace, 'kept')
  await eventually(async () => expect(await series()).toEqual(['new', 'revived']))
  await eventually(async () => expect(await harness().getSecret(namespace, 'kept-token')).toBeUndefined(), 60_000)
  expect(operator.log()).toContainEqual(
    expect.objectContaining({ msg: 'API server went back to an older revision, cache replaced' }),
  )
})
