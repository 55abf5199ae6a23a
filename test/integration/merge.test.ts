import { beforeAll, describe, expect, it } from 'vitest'
import type { Simulator } from '../../simulator/server.ts'
import { delay, eventually, type Keys, useHarness } from './harness.ts'
import type { OperatorProcess } from './operator-process.ts'

const harness = useHarness()
let operator: OperatorProcess
let gateway: Simulator
let namespace: string

beforeAll(async () => {
  gateway = await harness().gateway({ lifetimeSeconds: 7200 })
  namespace = await harness().namespace()
  operator = await (await harness().operator()).working()
})

function application(): Keys {
  const keys = harness().keys()
  gateway.service.addApplication(keys)
  return keys
}

const merge = (name: string, rest: object = {}): Record<string, unknown> => ({
  targets: [{ name, creationPolicy: 'Merge', ...rest }],
})
const retain = (name: string, rest: object = {}): Record<string, unknown> => ({
  targets: [{ name, deletionPolicy: 'Retain', ...rest }],
})

async function gone(name: string): Promise<void> {
  await eventually(async () => {
    expect(await harness().kubectl(['-n', namespace, 'get', 'eac', '-o', 'name'])).not.toContain(`/${name}\n`)
  })
}

describe('a Merge target', () => {
  it('a Merge target waits for its Secret with TargetMissing, then adds its keys only', async () => {
    const keys = application()
    await harness().createCredential(namespace, 'waiting', gateway, keys, merge('theirs'))
    await harness().expectCondition(namespace, 'waiting', 'Ready', 'False/TargetMissing')
    await harness().expectCondition(namespace, 'waiting', 'Reconciling', 'True/TargetMissing')
    await harness().createSecret(
      namespace,
      'theirs',
      { own: 'value' },
      { metadata: { name: 'theirs', labels: { a: 'b' } } },
    )
    await harness().expectReady(namespace, 'waiting', 2000)
    expect(await harness().data(namespace, 'theirs')).toMatchObject({
      own: 'value',
      accessToken: gateway.service.currentToken(keys.appKey),
    })
    const { metadata } = (await harness().getSecret(namespace, 'theirs')) ?? { metadata: {} }
    expect(metadata.labels).toEqual({ a: 'b' })
    expect(metadata.annotations).toBeUndefined()
    expect(metadata.ownerReferences).toBeUndefined()
    const { metadata: own } = await harness().getCredential(namespace, 'waiting')
    expect(metadata.managedFields?.map(({ manager }) => manager)).toContain(`enos-credential:${own.uid ?? ''}`)
    expect(own.finalizers).toEqual(['enos.io/merge-cleanup'])
  })

  it('a Merge target repairs its keys without a call and leaves foreign keys alone', async () => {
    const keys = application()
    await harness().createSecret(namespace, 'both', { own: 'one' })
    await harness().createCredential(namespace, 'repair', gateway, keys, merge('both'))
    await harness().expectReady(namespace, 'repair')
    await harness().patchSecret(namespace, 'both', { stringData: { own: 'two', accessToken: 'spoilt' } })
    await eventually(async () => {
      expect(await harness().data(namespace, 'both')).toMatchObject({
        own: 'two',
        accessToken: gateway.service.currentToken(keys.appKey),
      })
    })
    await harness().patchSecret(namespace, 'both', { data: { expiresAt: null } })
    await eventually(async () => expect(await harness().data(namespace, 'both')).toHaveProperty('expiresAt'))
    expect(gateway.calls.filter(({ appKey }) => appKey === keys.appKey)).toHaveLength(1)
  })

  it('a Merge target removes only its own keys when it or its resource is deleted', async () => {
    await harness().createSecret(namespace, 'left', { own: 'value' })
    await harness().createCredential(namespace, 'leaving', gateway, application(), {
      targets: [{ name: 'left', creationPolicy: 'Merge' }, { name: 'stays' }],
    })
    await harness().expectReady(namespace, 'leaving')
    await harness().patchCredential(namespace, 'leaving', { spec: { targets: [{ name: 'stays' }] } })
    await eventually(async () => expect(await harness().data(namespace, 'left')).toEqual({ own: 'value' }))
    await eventually(async () =>
      expect((await harness().getCredential(namespace, 'leaving')).metadata.finalizers ?? []).toEqual([]),
    )

    await harness().patchCredential(namespace, 'leaving', { spec: merge('left') })
    await eventually(async () => expect(await harness().data(namespace, 'left')).toHaveProperty('accessToken'))
    await harness().deleteCredential(namespace, 'leaving')
    await gone('leaving')
    expect(await harness().data(namespace, 'left')).toEqual({ own: 'value' })
  })

  it('a Merge target with deletionPolicy Retain leaves its keys and has no finalizer', async () => {
    await harness().createSecret(namespace, 'kept', { own: 'value' })
    await harness().createCredential(
      namespace,
      'keeping',
      gateway,
      application(),
      merge('kept', { deletionPolicy: 'Retain' }),
    )
    await harness().expectReady(namespace, 'keeping')
    expect((await harness().getCredential(namespace, 'keeping')).metadata.finalizers).toBeUndefined()
    await harness().deleteCredential(namespace, 'keeping')
    await gone('keeping')
    expect(await harness().data(namespace, 'kept')).toHaveProperty('accessToken')
    // A resource of the same name adopts the keys.
    const keys = application()
    await harness().createCredential(namespace, 'keeping', gateway, keys, merge('kept'))
    await harness().patchSecret(namespace, 'keeping-app', { stringData: { ...keys } })
    await harness().expectReady(namespace, 'keeping')
    await eventually(async () =>
      expect((await harness().data(namespace, 'kept'))?.['accessToken']).toBe(
        gateway.service.currentToken(keys.appKey),
      ),
    )
  })

  it('an immutable Merge target keeps its keys and does not block the deletion of its resource', async () => {
    await harness().createSecret(namespace, 'frozen', {})
    await harness().createCredential(namespace, 'freezing', gateway, application(), merge('frozen'))
    await harness().expectReady(namespace, 'freezing')
    await harness().patchSecret(namespace, 'frozen', { immutable: true })
    await harness().deleteCredential(namespace, 'freezing')
    await gone('freezing')
    expect(await harness().data(namespace, 'frozen')).toHaveProperty('accessToken')
    await eventually(async () => {
      expect(await harness().eventReasons(namespace, 'freezing')).toContain('KeysLeftBehind')
    })
  })

  it('a Merge target that wants a foreign key gives TargetConflict and sets no key', async () => {
    await harness().createSecret(namespace, 'occupied', { accessToken: 'theirs' })
    await harness().createCredential(namespace, 'wanting', gateway, application(), merge('occupied'))
    await harness().expectCondition(namespace, 'wanting', 'Ready', 'False/TargetConflict')
    expect(await harness().message(namespace, 'wanting', 'Ready')).toContain('accessToken')
    expect(await harness().data(namespace, 'occupied')).toEqual({ accessToken: 'theirs' })
    await harness().patchSecret(namespace, 'occupied', { data: { accessToken: null } })
    await harness().expectReady(namespace, 'wanting', 3000)
  })

  it('resources share a Secret, and a key that two want stays with the present holder', async () => {
    const [first, second, third] = [application(), application(), application()]
    await harness().createSecret(namespace, 'shared', {})
    await harness().createCredential(
      namespace,
      'm1',
      gateway,
      first,
      merge('shared', { data: { ONE: '{{ accessToken }}' } }),
    )
    await harness().createCredential(
      namespace,
      'm2',
      gateway,
      second,
      merge('shared', { data: { TWO: '{{ accessToken }}' } }),
    )
    await harness().expectReady(namespace, 'm1')
    await harness().expectReady(namespace, 'm2')
    await harness().createCredential(
      namespace,
      'm3',
      gateway,
      third,
      merge('shared', { data: { ONE: '{{ accessToken }}' } }),
    )
    await harness().expectCondition(namespace, 'm3', 'Ready', 'False/TargetConflict')
    const expected = {
      ONE: gateway.service.currentToken(first.appKey),
      TWO: gateway.service.currentToken(second.appKey),
    }
    expect(await harness().data(namespace, 'shared')).toEqual(expected)
    await harness().deleteCredential(namespace, 'm1')
    await harness().expectReady(namespace, 'm3')
    expect(await harness().data(namespace, 'shared')).toEqual({
      ...expected,
      ONE: gateway.service.currentToken(third.appKey),
    })
  })
})

describe('switching', () => {
  it('a switch from Owner to Merge disowns the Secret, which then outlives its resource without the keys', async () => {
    const keys = application()
    await harness().createCredential(namespace, 'given', gateway, keys)
    await harness().expectReady(namespace, 'given')
    const { metadata: before } = (await harness().getSecret(namespace, 'given-token')) ?? { metadata: {} }
    await harness().patchCredential(namespace, 'given', { spec: merge('given-token') })
    await eventually(async () => {
      const { metadata } = (await harness().getSecret(namespace, 'given-token')) ?? { metadata: {} }
      expect(metadata.uid).toBe(before.uid)
      expect(metadata.ownerReferences).toBeUndefined()
      expect(metadata.labels).toBeUndefined()
    })
    await harness().expectReady(namespace, 'given')
    expect((await harness().data(namespace, 'given-token'))?.['accessToken']).toBe(
      gateway.service.currentToken(keys.appKey),
    )
    await harness().deleteCredential(namespace, 'given')
    await gone('given')
    await delay(500)
    expect((await harness().getSecret(namespace, 'given-token'))?.data ?? {}).toEqual({})
    expect(gateway.calls.filter(({ appKey }) => appKey === keys.appKey)).toHaveLength(1)
  })

  it('a switch from Merge to Owner gives TargetConflict: the Secret is foreign', async () => {
    await harness().createSecret(namespace, 'foreign', { own: 'value' })
    await harness().createCredential(namespace, 'greedy', gateway, application(), merge('foreign'))
    await harness().expectReady(namespace, 'greedy')
    await harness().patchCredential(namespace, 'greedy', { spec: { targets: [{ name: 'foreign' }] } })
    await harness().expectCondition(namespace, 'greedy', 'Stalled', 'True/TargetConflict')
    expect((await harness().data(namespace, 'foreign'))?.['own']).toBe('value')
  })

  it('a switch from Delete to Retain and back changes the owner reference but no uid', async () => {
    await harness().createCredential(namespace, 'switched', gateway, application())
    await harness().expectReady(namespace, 'switched')
    const uid = (await harness().getSecret(namespace, 'switched-token'))?.metadata.uid
    await harness().patchCredential(namespace, 'switched', { spec: retain('switched-token') })
    await eventually(async () => {
      const { metadata } = (await harness().getSecret(namespace, 'switched-token')) ?? { metadata: {} }
      expect(metadata.ownerReferences).toBeUndefined()
      expect(metadata.annotations?.['enos.io/credential']).toBe('switched')
    })
    await harness().patchCredential(namespace, 'switched', { spec: { targets: [{ name: 'switched-token' }] } })
    await eventually(async () => {
      const { metadata } = (await harness().getSecret(namespace, 'switched-token')) ?? { metadata: {} }
      expect(metadata.ownerReferences).toHaveLength(1)
      expect(metadata.annotations?.['enos.io/credential']).toBeUndefined()
      expect(metadata.uid).toBe(uid)
    })
  })
})

describe('a retained target', () => {
  it('a retained target outlives its resource and is adopted by a resource of the same name', async () => {
    const keys = application()
    await harness().createCredential(namespace, 'retained', gateway, keys, retain('retained-token'))
    await harness().expectReady(namespace, 'retained')
    const { metadata: owner } = await harness().getCredential(namespace, 'retained')
    const before = await harness().getSecret(namespace, 'retained-token')
    expect(before?.metadata.annotations).toMatchObject({
      'enos.io/credential': 'retained',
      'enos.io/credential-uid': owner.uid,
    })
    await harness().deleteCredential(namespace, 'retained')
    await gone('retained')
    await delay(500)
    expect((await harness().getSecret(namespace, 'retained-token'))?.metadata.uid).toBe(before?.metadata.uid)

    await harness().createCredential(namespace, 'stranger', gateway, keys, { targets: [{ name: 'retained-token' }] })
    await harness().expectCondition(namespace, 'stranger', 'Ready', 'False/TargetConflict')
    await harness().createCredential(namespace, 'retained', gateway, keys, retain('retained-token'))
    await harness().expectReady(namespace, 'retained')
    expect((await harness().getSecret(namespace, 'retained-token'))?.metadata.uid).toBe(before?.metadata.uid)
  })
})

describe('a deletion', () => {
  it('without a running operator owned Secrets go, retained ones stay, and merged keys go when one runs again', async () => {
    await harness().createSecret(namespace, 'absent-merged', { own: 'value' })
    await harness().createCredential(namespace, 'absent', gateway, application(), {
      targets: [
        { name: 'absent-owned' },
        { name: 'absent-retained', deletionPolicy: 'Retain' },
        { name: 'absent-merged', creationPolicy: 'Merge' },
      ],
    })
    await harness().createCredential(namespace, 'absent-two', gateway, application())
    await harness().expectReady(namespace, 'absent')
    await harness().expectReady(namespace, 'absent-two')
    expect(await operator.end()).toBe(0)
    await harness().deleteCredential(namespace, 'absent')
    await harness().deleteCredential(namespace, 'absent-two')
    await gone('absent-two')
    await eventually(
      async () => expect(await harness().getSecret(namespace, 'absent-two-token')).toBeUndefined(),
      15_000,
    )
    expect(await harness().getSecret(namespace, 'absent-retained')).toBeDefined()
    operator = await (await harness().operator()).working()
    await gone('absent')
    expect(await harness().data(namespace, 'absent-merged')).toEqual({ own: 'value' })
    await eventually(async () => expect(await harness().getSecret(namespace, 'absent-owned')).toBeUndefined(), 15_000)
    expect(await harness().getSecret(namespace, 'absent-retained')).toBeDefined()
  })

  it('the deletion of a whole namespace is not blocked', { timeout: 90_000 }, async () => {
    const other = await harness().namespace()
    await harness().createSecret(other, 'theirs', { own: 'value' })
    await harness().createCredential(other, 'in-it', gateway, application(), {
      targets: [{ name: 'theirs', creationPolicy: 'Merge' }, { name: 'owned' }],
    })
    await harness().expectReady(other, 'in-it')
    await harness().kubectl(['delete', 'namespace', other, '--wait=true', '--timeout=60s'])
  })
})
