import { beforeAll, describe, expect, it } from 'vitest'
import type { Simulator } from '../../simulator/server.ts'
import { eventually, type Keys, useHarness } from './harness.ts'

const harness = useHarness()
let gateway: Simulator
let namespace: string

beforeAll(async () => {
  gateway = await harness().gateway({ lifetimeSeconds: 7200 })
  namespace = await harness().namespace()
  await (await harness().operator({ env: { ENOS_NAMESPACE: namespace } })).working()
})

function application(): Keys {
  const keys = harness().keys()
  gateway.service.addApplication(keys)
  return keys
}

interface Manifest {
  readonly metadata: Record<string, unknown>
  readonly status?: unknown
}

/** Gives what a backup tool stores: without uid, version, owner references and status. */
async function backUp(resource: string): Promise<string> {
  const stored = JSON.parse(await harness().kubectl(['-n', namespace, 'get', resource, '-o', 'json'])) as Manifest
  const dropped = ['uid', 'resourceVersion', 'creationTimestamp', 'generation', 'ownerReferences', 'managedFields']
  const metadata = Object.fromEntries(Object.entries(stored.metadata).filter(([key]) => !dropped.includes(key)))
  return JSON.stringify({ ...stored, status: undefined, metadata })
}

async function restore(manifest: string): Promise<void> {
  await harness().kubectl(['-n', namespace, 'create', '-f', '-'], manifest)
}

/** The target holds the application's token, belongs to the resource and carries no request for adoption. */
async function expectAdopted(name: string, keys: Keys): Promise<void> {
  await harness().expectReady(namespace, name)
  const { metadata } = await harness().getCredential(namespace, name)
  const secret = await harness().getSecret(namespace, `${name}-token`)
  expect(secret?.metadata.ownerReferences).toMatchObject([{ uid: metadata.uid, controller: true }])
  expect(secret?.metadata.annotations).not.toHaveProperty(['enos.io/adopt'])
  expect(await harness().data(namespace, `${name}-token`)).toMatchObject({
    accessToken: gateway.service.currentToken(keys.appKey),
  })
  await eventually(async () => expect(await harness().eventReasons(namespace, name)).toContain('TargetAdopted'))
}

describe.concurrent('adoption by an Owner target', () => {
  it('an Owner target adopts a Secret that is restored from a backup without owner references', async () => {
    const keys = application()
    await harness().createCredential(namespace, 'restored', gateway, keys)
    await harness().expectReady(namespace, 'restored')
    const secret = await backUp('secret/restored-token')
    const credential = await backUp('enosappcredential/restored')
    await harness().deleteCredential(namespace, 'restored')
    await eventually(async () => expect(await harness().getSecret(namespace, 'restored-token')).toBeUndefined(), 15_000)
    await restore(secret)
    await restore(credential)
    await expectAdopted('restored', keys)
  })

  it('an Owner target exists before its restored Secret where the resource is restored first', async () => {
    const keys = application()
    await harness().createCredential(namespace, 'early', gateway, keys)
    await harness().expectReady(namespace, 'early')
    const secret = await backUp('secret/early-token')
    const credential = await backUp('enosappcredential/early')
    await harness().deleteCredential(namespace, 'early')
    await eventually(async () => expect(await harness().getSecret(namespace, 'early-token')).toBeUndefined(), 15_000)
    await restore(credential)
    await harness().expectReady(namespace, 'early')
    await expect(restore(secret)).rejects.toThrow('AlreadyExists')
    await harness().expectReady(namespace, 'early')
  })

  it('an Owner target adopts a Secret that kubectl delete --cascade=orphan left', async () => {
    const keys = application()
    await harness().createCredential(namespace, 'orphaned', gateway, keys)
    await harness().expectReady(namespace, 'orphaned')
    await harness().kubectl(['-n', namespace, 'delete', 'enosappcredential', 'orphaned', '--cascade=orphan'])
    const { metadata } = (await harness().getSecret(namespace, 'orphaned-token')) ?? { metadata: {} }
    expect(metadata.ownerReferences).toBeUndefined()
    await harness().createCredential(namespace, 'orphaned', gateway, keys)
    await expectAdopted('orphaned', keys)
  })

  it('an Owner target adopts the Secret of a CronJob after the annotation that TargetConflict names', async () => {
    const keys = application()
    await harness().createSecret(namespace, 'moved-token', { accessToken: 'APP_PORTAL_S_old', note: 'x' })
    await harness().createCredential(namespace, 'moved', gateway, keys)
    await harness().expectCondition(namespace, 'moved', 'Ready', 'False/TargetConflict')
    const advice = /annotate it with (enos\.io\/adopt): (\S+);/.exec(
      await harness().message(namespace, 'moved', 'Ready'),
    )
    const annotation = `${advice?.[1] ?? ''}=${advice?.[2] ?? ''}`
    await harness().kubectl(['-n', namespace, 'annotate', 'secret', 'moved-token', annotation])
    await expectAdopted('moved', keys)
    expect(await harness().data(namespace, 'moved-token')).not.toHaveProperty('note')
  })

  it('the garbage collector deletes an adopted Secret with its resource', async () => {
    const keys = application()
    await harness().createSecret(
      namespace,
      'short-token',
      { accessToken: 'x' },
      {
        metadata: { name: 'short-token', annotations: { 'enos.io/adopt': 'short' } },
      },
    )
    await harness().createCredential(namespace, 'short', gateway, keys)
    await expectAdopted('short', keys)
    await harness().deleteCredential(namespace, 'short')
    await eventually(async () => expect(await harness().getSecret(namespace, 'short-token')).toBeUndefined(), 15_000)
  })
})

describe.concurrent('refused adoption by an Owner target', () => {
  const annotated = (name: string, annotations = { 'enos.io/adopt': name }): object => ({
    metadata: { name: `${name}-token`, annotations },
  })

  it.each<[string, string, object]>([
    ['of a reserved type', 'reserved', { type: 'kubernetes.io/basic-auth' }],
    ['of another type', 'typed', { type: 'example.com/token' }],
    ['that is immutable', 'frozen', { immutable: true }],
  ])('an Owner target never adopts by the annotation a Secret %s', async (_, name, rest) => {
    const keys = application()
    const before = await harness().createSecret(
      namespace,
      `${name}-token`,
      { password: 'x' },
      { ...annotated(name), ...rest },
    )
    await harness().createCredential(namespace, name, gateway, keys)
    await harness().expectCondition(namespace, name, 'Ready', 'False/TargetConflict')
    expect(await harness().getSecret(namespace, `${name}-token`)).toEqual(before)
  })

  it('an Owner target never adopts a Secret of another resource, which the message names', async () => {
    for (const deletionPolicy of ['Delete', 'Retain']) {
      const [owner, robber] = [`owner-${deletionPolicy.toLowerCase()}`, `robber-${deletionPolicy.toLowerCase()}`]
      const targets = [{ name: `${owner}-token`, deletionPolicy }]
      await harness().createCredential(namespace, owner, gateway, application(), { targets })
      await harness().expectReady(namespace, owner)
      await harness().kubectl(['-n', namespace, 'annotate', 'secret', `${owner}-token`, `enos.io/adopt=${robber}`])
      await harness().createCredential(namespace, robber, gateway, application(), { targets })
      await harness().expectCondition(namespace, robber, 'Ready', 'False/TargetConflict')
      expect(await harness().message(namespace, robber, 'Ready')).toContain(
        `belongs to EnosAppCredential ${owner}: name`,
      )
      expect(await harness().condition(namespace, owner, 'Ready')).toBe('True/Synced')
    }
  })
})

describe('adoption by a Merge target', () => {
  it('a Merge target takes over exactly its keys in an annotated Secret, and removes the annotation', async () => {
    const keys = application()
    await harness().createSecret(namespace, 'shared', { accessToken: 'APP_PORTAL_S_old', theirs: 'x' })
    const targets = [{ name: 'shared', creationPolicy: 'Merge' }]
    await harness().createCredential(namespace, 'merging', gateway, keys, { targets })
    await harness().expectCondition(namespace, 'merging', 'Ready', 'False/TargetConflict')
    await harness().kubectl(['-n', namespace, 'annotate', 'secret', 'shared', 'enos.io/adopt=merging'])
    await harness().expectReady(namespace, 'merging')
    const secret = await harness().getSecret(namespace, 'shared')
    expect(secret?.metadata.annotations ?? {}).not.toHaveProperty(['enos.io/adopt'])
    expect(await harness().data(namespace, 'shared')).toMatchObject({
      theirs: 'x',
      accessToken: gateway.service.currentToken(keys.appKey),
    })
    await harness().deleteCredential(namespace, 'merging')
    await eventually(async () => expect(await harness().data(namespace, 'shared')).toEqual({ theirs: 'x' }))
  })
})
