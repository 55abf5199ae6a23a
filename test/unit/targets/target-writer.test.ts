import { describe, expect, it } from 'vitest'
import type { WriteReason } from '../../../src/api/v1alpha1/action-reasons.ts'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import { secrets } from '../../../src/kubernetes/types.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { noCorrection } from '../../../src/targets/compare-secret.ts'
import type { DesiredSecret } from '../../../src/targets/desired-secret.ts'
import type { Secret } from '../../../src/targets/secret.ts'
import { TargetWriter, type WriteOperation } from '../../../src/targets/target-writer.ts'
import { marker, operator, secret } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { MemoryApi } from '../../support/memory-api.ts'

const ref = { namespace: 'plant-a', name: 'enos-token' }
const { signal } = new AbortController()
const credentialUid = 'uid-wind-farm'

function desired(overrides: Partial<DesiredSecret> = {}): DesiredSecret {
  return {
    ...ref,
    type: 'Opaque',
    labels: { 'enos.io/credential': 'wind-farm' },
    annotations: {},
    owner: undefined,
    data: { accessToken: new Sensitive(marker.token) },
    ...overrides,
  }
}

const context = { reason: 'Drift', signal } as const

function setUp(failure?: ApiError | Error) {
  const api = new MemoryApi(new FakeClock(), operator)
  const counted: [WriteOperation, 'success' | 'error'][] = []
  const fail = failure === undefined ? undefined : () => Promise.reject(failure)
  const client = fail === undefined ? api : { get: fail, create: fail, patch: fail, delete: fail }
  const onWrite = (operation: WriteOperation, reason: WriteReason, result: 'success' | 'error') => {
    expect(reason).toBe(context.reason)
    counted.push([operation, result])
  }
  return { api, counted, writer: new TargetWriter({ client, fieldManager: operator, onWrite }) }
}

function versionOf({ metadata: { resourceVersion = '', uid = '' } }: Secret): { uid: string; resourceVersion: string } {
  return { uid, resourceVersion }
}

async function created(writer: TargetWriter): Promise<Secret> {
  const result = await writer.create(desired(), context)
  if (result.kind !== 'written') throw new Error(`the result is ${result.kind}`)
  return result.secret
}

const textOf = (object: { readonly data?: Readonly<Record<string, string>> } | undefined, key: string) =>
  Buffer.from(object?.data?.[key] ?? '', 'base64').toString()

describe('TargetWriter.get', () => {
  it('get returns undefined for a Secret that does not exist', async () => {
    await expect(setUp().writer.get(ref, signal)).resolves.toBeUndefined()
  })

  it('get returns the stored Secret', async () => {
    const { writer } = setUp()
    const secret = await created(writer)
    await expect(writer.get(ref, signal)).resolves.toEqual(secret)
  })

  it('get throws when the API server fails', async () => {
    const error = new ApiError('get', { code: 503, reason: 'ServiceUnavailable' })
    await expect(setUp(error).writer.get(ref, signal)).rejects.toBe(error)
  })
})

describe('TargetWriter of owned Secrets', () => {
  it('create stores the Secret', async () => {
    const { api, counted, writer } = setUp()
    await created(writer)
    expect(textOf(api.find(secrets, ref), 'accessToken')).toBe(marker.token)
    expect(counted).toEqual([['create', 'success']])
  })

  it('create never takes over an existing Secret', async () => {
    const { api, counted, writer } = setUp()
    api.user('kubectl').create(secrets, 'plant-a', { metadata: { name: 'enos-token' }, stringData: { mine: 'x' } })
    await expect(writer.create(desired(), context)).resolves.toEqual({ kind: 'stale' })
    expect(Object.keys(api.find(secrets, ref)?.data ?? {})).toEqual(['mine'])
    expect(counted).toEqual([])
  })

  it('patch changes the Secret that was read', async () => {
    const { api, counted, writer } = setUp()
    const present = await created(writer)
    const data = { accessToken: new Sensitive('next') }
    const result = await writer.patch(desired({ data }), noCorrection, versionOf(present), context)
    expect(result).toMatchObject({ kind: 'written', secret: { metadata: { uid: present.metadata.uid } } })
    expect(textOf(api.find(secrets, ref), 'accessToken')).toBe('next')
    expect(counted.at(-1)).toEqual(['update', 'success'])
  })

  it('patch writes nothing when the Secret was changed, replaced or deleted since it was read', async () => {
    const { api, counted, writer } = setUp()
    const present = await created(writer)
    const was = versionOf(present)
    const late = () => writer.patch(desired(), noCorrection, was, context)
    api.user('kubectl').patch(secrets, ref, { data: { extra: 'eA==' } })
    await expect(late()).resolves.toEqual({ kind: 'stale' })
    await expect(writer.delete({ ...ref, ...was }, context)).resolves.toEqual({ kind: 'stale' })
    api.user('kubectl').delete(secrets, ref)
    await expect(late()).resolves.toEqual({ kind: 'stale' })
    await expect(writer.delete({ ...ref, ...was }, context)).resolves.toEqual({ kind: 'stale' })
    expect(api.find(secrets, ref)).toBeUndefined()
    api.user('kubectl').create(secrets, 'plant-a', { metadata: { name: 'enos-token' } })
    await expect(late()).resolves.toEqual({ kind: 'stale' })
    expect(counted).toEqual([['create', 'success']])
  })

  it('delete removes only the Secret that was read', async () => {
    const { api, counted, writer } = setUp()
    await expect(writer.delete({ ...ref, ...versionOf(await created(writer)) }, context)).resolves.toEqual({
      kind: 'deleted',
    })
    expect(api.find(secrets, ref)).toBeUndefined()
    expect(counted.at(-1)).toEqual(['delete', 'success'])
  })

  it('recreate deletes and creates the Secret', async () => {
    const { api, counted, writer } = setUp()
    const present = await created(writer)
    const result = await writer.recreate(desired({ type: 'example.com/token' }), versionOf(present), context)
    expect(result).toMatchObject({ kind: 'written', secret: { type: 'example.com/token' } })
    expect(api.find(secrets, ref)?.metadata.uid).not.toBe(present.metadata.uid)
    expect(counted.slice(1)).toEqual([
      ['delete', 'success'],
      ['create', 'success'],
    ])
  })

  it('recreate creates nothing when the Secret has changed since it was read', async () => {
    const { api, writer } = setUp()
    const was = { ...versionOf(await created(writer)), uid: 'uid-of-another' }
    await expect(writer.recreate(desired(), was, context)).resolves.toEqual({ kind: 'stale' })
    expect(api.calls.filter(({ verb }) => verb === 'create')).toHaveLength(1)
  })

  it('disown keeps the given keys, and removes the others', async () => {
    const { api, writer } = setUp()
    const data = { accessToken: new Sensitive(marker.token), other: new Sensitive('x') }
    const owner = {
      apiVersion: 'enos.io/v1alpha1',
      kind: 'EnosAppCredential',
      name: 'wind-farm',
      uid: credentialUid,
      controller: true,
      blockOwnerDeletion: false,
    } as const
    const result = await writer.create(desired({ data, owner }), context)
    if (result.kind !== 'written') throw new Error(`the result is ${result.kind}`)
    await writer.disown(result.secret, credentialUid, ['accessToken'], context)
    const left = api.find(secrets, ref)
    expect(Object.keys(left?.data ?? {})).toEqual(['accessToken'])
    expect(left?.metadata).toMatchObject({ labels: {}, ownerReferences: [] })
  })
})

describe('TargetWriter of keys in Secrets of other owners', () => {
  const manager = { name: `enos-credential:${credentialUid}`, isForced: false }
  const mine = { metadata: { name: 'enos-token' }, stringData: { password: 'p', token: 'theirs' } }

  function foreign(api: MemoryApi): { uid: string; resourceVersion: string } {
    return versionOf(api.user('kubectl').create(secrets, 'plant-a', mine))
  }

  it('applyKeys adds keys beside the existing ones, and releaseKeys removes them', async () => {
    const { api, counted, writer } = setUp()
    const added = await writer.applyKeys({ ...ref, ...foreign(api) }, { ours: new Sensitive('x') }, manager, context)
    if (added.kind !== 'written') throw new Error(`it was ${added.kind}`)
    expect(Object.keys(added.secret.data ?? {}).sort()).toEqual(['ours', 'password', 'token'])
    const holders = added.secret.metadata.managedFields?.map((entry) => entry.manager)
    expect(holders).toEqual(['kubectl', manager.name])
    await writer.releaseKeys({ ...ref, ...versionOf(added.secret) }, ['ours'], context)
    expect(Object.keys(api.find(secrets, ref)?.data ?? {}).sort()).toEqual(['password', 'token'])
    expect(counted).toEqual([
      ['update', 'success'],
      ['update', 'success'],
    ])
  })

  it('applyKeys takes keys of another field manager by force only', async () => {
    const { api, writer } = setUp()
    const was = foreign(api)
    const data = { token: new Sensitive('ours') }
    await expect(writer.applyKeys({ ...ref, ...was }, data, manager, context)).resolves.toEqual({ kind: 'stale' })
    expect(textOf(api.find(secrets, ref), 'token')).toBe('theirs')
    await writer.applyKeys({ ...ref, ...was }, data, { ...manager, isForced: true }, context)
    expect(textOf(api.find(secrets, ref), 'token')).toBe('ours')
  })

  it('applyKeys never creates the Secret', async () => {
    const { api, writer } = setUp()
    const was = foreign(api)
    api.user('kubectl').delete(secrets, ref)
    const data = { token: new Sensitive('ours') }
    await expect(writer.applyKeys({ ...ref, ...was }, data, manager, context)).resolves.toEqual({ kind: 'stale' })
    expect(api.find(secrets, ref)).toBeUndefined()
  })
})

describe('TargetWriter of refused writes', () => {
  const writes = {
    create: (writer: TargetWriter) => writer.create(desired(), context),
    update: (writer: TargetWriter) => writer.patch(desired(), noCorrection, versionOf(secret()), context),
    delete: (writer: TargetWriter) => writer.delete({ ...ref, ...versionOf(secret()) }, context),
  }

  it.each(['create', 'update', 'delete'] as const)(
    'the writer returns a failure and counts an error for a refused %s',
    async (operation) => {
      for (const [code, reason] of [
        [403, 'Forbidden'],
        [422, 'Invalid'],
        [0, 'Timeout'],
      ] as const) {
        const error = new ApiError(operation, { code, reason })
        const { counted, writer } = setUp(error)
        await expect(writes[operation](writer)).resolves.toEqual({ kind: 'failed', error })
        expect(counted).toEqual([[operation, 'error']])
      }
    },
  )

  it('the writer returns a failure, not stale, when the namespace does not exist', async () => {
    const error = new ApiError('create', { code: 404, reason: 'NotFound' })
    await expect(writes.create(setUp(error).writer)).resolves.toEqual({ kind: 'failed', error })
  })

  it('the writer throws when the call was aborted', async () => {
    const error = new Error('stopped')
    const { counted, writer } = setUp(error)
    await expect(writes.create(writer)).rejects.toBe(error)
    expect(counted).toEqual([])
  })
})
