import { describe, expect, it } from 'vitest'
import type { ObjectMetadata, TargetRecord } from '../../../src/observe/observed.ts'
import type { Action } from '../../../src/plan/actions.ts'
import { plan } from '../../../src/plan/plan.ts'
import { metadata, now, type ObservedInput, secret, synced, targetRecord } from '../../support/builders.ts'

const name = 'former'
const own = { name, uid: 'uid-former', resourceVersion: '30', controllerUid: 'uid-wind-farm' }

/** A resource in order whose spec had one target more. */
function formerly(
  overrides: Partial<TargetRecord>,
  meta: Partial<ObjectMetadata> | undefined,
  rest: ObservedInput = {},
): readonly Action[] {
  const base = synced()
  const recorded = targetRecord({ name, uid: 'uid-former', resourceVersion: '30', ...overrides })
  return plan(
    {
      ...synced(rest),
      record: new Map([...base.record, [name, recorded]]),
      targetMetas: new Map<string, ObjectMetadata | undefined>([
        ...base.targetMetas,
        [name, meta === undefined ? undefined : metadata(meta)],
      ]),
    },
    now,
  ).actions
}

describe('a target that was taken out of the spec', () => {
  it('is deleted, bound to what is there now', () => {
    expect(formerly({}, { ...own, resourceVersion: '31' })).toEqual([
      { do: 'deleteTarget', reason: 'RemovedFromSpec', was: { name, uid: 'uid-former', resourceVersion: '31' } },
    ])
  })

  it('is deleted also when the sources are gone and the gateway is not allowed', () => {
    expect(formerly({}, own, { sourceMetas: [undefined], isGatewayAllowed: false })).toMatchObject([
      { do: 'deleteTarget' },
    ])
  })

  it('is not deleted while the resource is suspended', () => {
    const kinds = formerly({}, own, { credential: { spec: { suspend: true } } }).map((action) => action.do)
    expect(kinds).toEqual(['leave'])
  })

  it.each<[string, Partial<TargetRecord>, Partial<ObjectMetadata> | undefined]>([
    ['is gone', {}, undefined],
    ['was recreated by another client', {}, { ...own, uid: 'uid-anew', controllerUid: undefined }],
    ['was recreated with our owner reference', {}, { ...own, uid: 'uid-anew' }],
  ])('is only forgotten when it %s', (_, recorded, meta) => {
    expect(formerly(recorded, meta)).toEqual([{ do: 'forgetTarget', reason: 'Missing', name }])
  })

  it.each<[string, Partial<TargetRecord>, Partial<ObjectMetadata> | undefined]>([
    [
      'is retained',
      { deletionPolicy: 'Retain' },
      { ...own, controllerUid: undefined, retainedFor: { name: 'wind-farm', uid: 'uid-wind-farm' } },
    ],
    ['has another owner now', {}, { ...own, controllerUid: 'uid-thief' }],
    [
      'is merged and its keys are to stay',
      { creationPolicy: 'Merge', deletionPolicy: 'Retain' },
      { ...own, controllerUid: undefined },
    ],
  ])('is only forgotten when it %s', (_, recorded, meta) => {
    expect(formerly(recorded, meta)).toEqual([{ do: 'forgetTarget', reason: 'RemovedFromSpec', name }])
  })
})

describe('keys in a Secret of another owner that left the spec', () => {
  const merge = { creationPolicy: 'Merge', keys: ['accessToken'] } as const
  const meta = { ...own, controllerUid: undefined }
  const managedFields = [{ manager: 'enos-credential:uid-wind-farm', fieldsV1: { 'f:data': { 'f:accessToken': {} } } }]
  const at = { name, uid: 'uid-former', resourceVersion: '30' }
  const finalizers = { credential: { finalizers: ['enos.io/merge-cleanup'] } }

  it('are looked at, taken out, and forgotten', () => {
    expect(formerly(merge, meta)).toEqual([{ do: 'fetchTarget', reason: 'RemovedFromSpec', name }])

    const held = secret({ accessToken: 'a', theirs: 'b' }, { metadata: { ...at, managedFields } })
    expect(formerly(merge, meta, { targetContents: new Map([[name, held]]) })).toEqual([
      { do: 'releaseKeys', reason: 'RemovedFromSpec', was: at, keys: ['accessToken'] },
    ])

    const released = secret({ theirs: 'b' }, { metadata: at })
    expect(formerly(merge, meta, { targetContents: new Map([[name, released]]) })).toEqual([
      { do: 'forgetTarget', reason: 'RemovedFromSpec', name },
    ])
  })

  it('are left, and that is told, in a Secret that was made immutable', () => {
    const frozen = secret({ accessToken: 'a' }, { immutable: true, metadata: { ...at, managedFields } })
    expect(formerly(merge, meta, { targetContents: new Map([[name, frozen]]) })).toMatchObject([
      { do: 'emitEvent', event: { type: 'Warning', reason: 'KeysLeftBehind' } },
      { do: 'forgetTarget', reason: 'RemovedFromSpec', name },
    ])
  })

  it('keep the finalizer as long as they are recorded, and lose it then', () => {
    const targetProblems = new Map([
      [name, { class: 'retry', reason: 'TargetWriteFailed', message: 'HTTP 500' } as const],
    ])
    expect(formerly(merge, meta, { ...finalizers, targetProblems }).map(({ do: kind }) => kind)).toEqual([
      'patchStatus',
    ])
    expect(plan(synced(finalizers), now).actions).toEqual([
      { do: 'setFinalizers', reason: 'NoMergedKeys', finalizers: [] },
    ])
  })

  it('are tried once in one look, and stay recorded when that failed', () => {
    const targetProblems = new Map([
      [name, { class: 'retry', reason: 'TargetWriteFailed', message: 'HTTP 500' } as const],
    ])
    expect(formerly(merge, meta, { ...finalizers, targetProblems })).toMatchObject([
      { do: 'patchStatus', status: { targets: [{ name: 'enos-token' }, { name, keys: ['accessToken'] }] } },
    ])
  })
})

describe('a target that is still in the spec', () => {
  it('loses its record when another Secret has come in its place', () => {
    const one = synced({ targetMetas: new Map([['enos-token', metadata({ name: 'enos-token', uid: 'uid-anew' })]]) })
    expect(plan(one, now).actions).toEqual([{ do: 'forgetTarget', reason: 'Missing', name: 'enos-token' }])
  })
})
