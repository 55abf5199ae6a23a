import { describe, expect, it } from 'vitest'
import type { ObjectMetadata, TargetRecord } from '../../../src/observe/observed.ts'
import type { Action } from '../../../src/plan/actions.ts'
import { plan } from '../../../src/plan/plan.ts'
import { metadata, now, type ObservedInput, secret, synced, targetRecord } from '../../support/builders.ts'

const name = 'removed'
const own = { name, uid: 'uid-removed', resourceVersion: '30', controllerUid: 'uid-wind-farm' }

/** The plan of a synced resource with the record of a target that the spec no longer has. */
function planRemoved(
  overrides: Partial<TargetRecord>,
  meta: Partial<ObjectMetadata> | undefined,
  rest: ObservedInput = {},
): readonly Action[] {
  const base = synced()
  const recorded = targetRecord({ name, uid: 'uid-removed', resourceVersion: '30', ...overrides })
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

describe('pruneRemovedTargets', () => {
  it('a removed target is deleted at its present resourceVersion', () => {
    expect(planRemoved({}, { ...own, resourceVersion: '31' })).toEqual([
      { do: 'deleteTarget', reason: 'RemovedFromSpec', was: { name, uid: 'uid-removed', resourceVersion: '31' } },
    ])
  })

  it('a removed target is deleted also without sources and at a disallowed gateway', () => {
    expect(planRemoved({}, own, { sourceMetas: [undefined], isGatewayAllowed: false })).toMatchObject([
      { do: 'deleteTarget' },
    ])
  })

  it('a removed target is not deleted while the resource is suspended', () => {
    const kinds = planRemoved({}, own, { credential: { spec: { suspend: true } } }).map((action) => action.do)
    expect(kinds).toEqual(['leave'])
  })

  it.each<[string, Partial<TargetRecord>, Partial<ObjectMetadata> | undefined]>([
    ['no longer exists', {}, undefined],
    ['was recreated by another client', {}, { ...own, uid: 'uid-recreated', controllerUid: undefined }],
    ['was recreated with our owner reference', {}, { ...own, uid: 'uid-recreated' }],
  ])('only the record of a removed target is dropped when the Secret %s', (_, recorded, meta) => {
    expect(planRemoved(recorded, meta)).toEqual([{ do: 'forgetTarget', reason: 'Missing', name }])
  })

  it.each<[string, Partial<TargetRecord>, Partial<ObjectMetadata> | undefined]>([
    [
      'is retained',
      { deletionPolicy: 'Retain' },
      { ...own, controllerUid: undefined, retainedFor: { name: 'wind-farm', uid: 'uid-wind-farm' } },
    ],
    ['has another owner by now', {}, { ...own, controllerUid: 'uid-of-another-owner' }],
    [
      'is merged and its keys are to be retained',
      { creationPolicy: 'Merge', deletionPolicy: 'Retain' },
      { ...own, controllerUid: undefined },
    ],
  ])('only the record of a removed target is dropped when the Secret %s', (_, recorded, meta) => {
    expect(planRemoved(recorded, meta)).toEqual([{ do: 'forgetTarget', reason: 'RemovedFromSpec', name }])
  })
})

describe('pruneRemovedTargets: targets that cannot be removed', () => {
  /** The plan with so many removed targets that could not be deleted. */
  function planFailed(removed: number): readonly Action[] {
    const base = synced()
    const names = Array.from({ length: removed }, (_, at) => `removed-${at}`)
    const problem = { class: 'userMustAct', reason: 'TargetWriteFailed', message: 'was not deleted' } as const
    const observed = {
      ...base,
      record: new Map([
        ...base.record,
        ...names.map((one) => [one, targetRecord({ name: one, uid: `uid-${one}` })] as const),
      ]),
      targetMetas: new Map([
        ...base.targetMetas,
        ...names.map((one) => [one, metadata({ ...own, name: one, uid: `uid-${one}` })] as const),
      ]),
      targetProblems: new Map(names.map((one) => [one, problem])),
    }
    return plan(observed, now).actions.filter((action) => action.reason !== 'StatusChanged')
  }

  it('the records of up to 32 targets are kept', () => {
    expect(planFailed(31)).toEqual([])
  })

  it('the oldest record beyond 32 is dropped, and an event tells of the Secret', () => {
    const planned = planFailed(33)
    const notes = planned.flatMap((action) => (action.do === 'emitEvent' ? [action.event.note] : []))
    expect(notes).toHaveLength(2)
    for (const note of notes) expect(note).toMatch(/^was not deleted; the target left the spec/)
    expect(planned.filter((action) => action.do === 'forgetTarget')).toEqual(
      ['removed-0', 'removed-1'].map((one) => ({ do: 'forgetTarget', reason: 'RemovedFromSpec', name: one })),
    )
  })
})

describe('pruneRemovedTargets: keys in Secrets of other owners', () => {
  const merge = { creationPolicy: 'Merge', keys: ['accessToken'] } as const
  const meta = { ...own, controllerUid: undefined }
  const managedFields = [{ manager: 'enos-credential:uid-wind-farm', fieldsV1: { 'f:data': { 'f:accessToken': {} } } }]
  const at = { name, uid: 'uid-removed', resourceVersion: '30' }
  const finalizers = { credential: { finalizers: ['enos.io/merge-cleanup'] } }

  it('merged keys of a removed target are read, released, and dropped from the record', () => {
    expect(planRemoved(merge, meta)).toEqual([{ do: 'fetchTarget', reason: 'RemovedFromSpec', name }])

    const held = secret({ accessToken: 'a', theirs: 'b' }, { metadata: { ...at, managedFields } })
    expect(planRemoved(merge, meta, { targetContents: new Map([[name, held]]) })).toEqual([
      { do: 'releaseKeys', reason: 'RemovedFromSpec', was: at, keys: ['accessToken'] },
    ])

    const released = secret({ theirs: 'b' }, { metadata: at })
    expect(planRemoved(merge, meta, { targetContents: new Map([[name, released]]) })).toEqual([
      { do: 'forgetTarget', reason: 'RemovedFromSpec', name },
    ])
  })

  it('merged keys stay in an immutable Secret, with a warning', () => {
    const frozen = secret({ accessToken: 'a' }, { immutable: true, metadata: { ...at, managedFields } })
    expect(planRemoved(merge, meta, { targetContents: new Map([[name, frozen]]) })).toMatchObject([
      { do: 'emitEvent', event: { type: 'Warning', reason: 'KeysLeftBehind' } },
      { do: 'forgetTarget', reason: 'RemovedFromSpec', name },
    ])
  })

  it('merged keys keep the finalizer as long as they are recorded', () => {
    const targetProblems = new Map([
      [name, { class: 'retry', reason: 'TargetWriteFailed', message: 'HTTP 500' } as const],
    ])
    expect(planRemoved(merge, meta, { ...finalizers, targetProblems }).map(({ do: kind }) => kind)).toEqual([
      'patchStatus',
    ])
    expect(plan(synced(finalizers), now).actions).toEqual([
      { do: 'setFinalizers', reason: 'NoMergedKeys', finalizers: [] },
    ])
  })

  it('merged keys stay recorded when their release failed, and are not released twice in one pass', () => {
    const targetProblems = new Map([
      [name, { class: 'retry', reason: 'TargetWriteFailed', message: 'HTTP 500' } as const],
    ])
    expect(planRemoved(merge, meta, { ...finalizers, targetProblems })).toMatchObject([
      { do: 'patchStatus', status: { targets: [{ name: 'enos-token' }, { name, keys: ['accessToken'] }] } },
    ])
  })
})

describe('pruneRemovedTargets: targets of the spec', () => {
  it('the record of a target of the spec is dropped when another Secret replaced it', () => {
    const one = synced({
      targetMetas: new Map([['enos-token', metadata({ name: 'enos-token', uid: 'uid-recreated' })]]),
    })
    expect(plan(one, now).actions).toEqual([{ do: 'forgetTarget', reason: 'Missing', name: 'enos-token' }])
  })
})
