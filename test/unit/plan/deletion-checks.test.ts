import { describe, expect, it } from 'vitest'
import type { Action } from '../../../src/plan/actions.ts'
import { plan } from '../../../src/plan/plan.ts'
import {
  type CredentialInput,
  joined,
  metadata,
  now,
  observed,
  type ObservedInput,
  ownTarget,
  secret,
  targetRecord,
} from '../../support/builders.ts'

const name = 'enos-token'
const finalizer = 'enos.io/merge-cleanup'
const merged = { targets: [{ name, creationPolicy: 'Merge' }] }
const record = new Map([[name, targetRecord({ creationPolicy: 'Merge' })]])
const existing = new Map([[name, metadata({ name, resourceVersion: '20' })]])
const entry = (manager: string, ...keys: string[]) => ({
  manager,
  fieldsV1: { 'f:data': Object.fromEntries(keys.map((key) => [`f:${key}`, {}])) },
})

function deleted(credential: CredentialInput = {}, rest: ObservedInput = {}): readonly Action[] {
  const given = { isDeleting: true, ...credential }
  return plan(observed({ ...rest, credential: given }), now).actions
}

/** The plan of a deleted resource with keys in a Secret of another owner. */
function deletedMerged(rest: ObservedInput = {}, credential: CredentialInput = {}): readonly Action[] {
  return deleted({ spec: merged, finalizers: [finalizer], ...credential }, { record, targetMetas: existing, ...rest })
}

describe('finishDeletion', () => {
  it('a deleted resource first leaves its application', () => {
    expect(plan(joined({ credential: { isDeleting: true } }), now).actions).toEqual([
      { do: 'leave', reason: 'Deleted' },
    ])
  })

  it('a deleted resource needs no action for owned targets, which the garbage collector removes', () => {
    const targetMetas = new Map([[name, ownTarget()]])
    expect(deleted({}, { targetMetas, record: new Map([[name, targetRecord()]]) })).toEqual([])
    expect(plan(observed({ credential: { isDeleting: true } }), now).requeueAt).toBeUndefined()
  })

  it('a deleted resource with the finalizer of another controller writes nothing', () => {
    expect(deleted({ finalizers: ['foregroundDeletion'] })).toEqual([])
  })

  it.each<[string, CredentialInput, ObservedInput]>([
    ['while suspended', { spec: { ...merged, suspend: true } }, {}],
    ['at a gateway that is not allowed', {}, { isGatewayAllowed: false }],
    ['without its sources', {}, { sourceMetas: [undefined] }],
    ['with a broken template', { spec: { targets: [{ ...merged.targets[0], data: { a: '{{ nope }}' } }] } }, {}],
  ])('a deleted resource releases its keys in a Secret of another owner, also %s', (_, credential, rest) => {
    const actions = deleted(
      { spec: merged, finalizers: [finalizer], ...credential },
      { record, targetMetas: existing, ...rest },
    )
    expect(actions).toEqual([{ do: 'fetchTarget', reason: 'Deleted', name }])
  })

  it('a deleted resource releases its own keys and no others', () => {
    const data = { accessToken: 'a', expiresAt: 'b', theirs: 'c' }
    const managedFields = [
      entry('enos-credential:uid-wind-farm', 'accessToken', 'expiresAt'),
      entry('kubectl', 'theirs'),
    ]
    const targetContents = new Map([[name, secret(data, { metadata: { managedFields } })]])
    expect(deletedMerged({ targetContents })).toEqual([
      {
        do: 'releaseKeys',
        reason: 'Deleted',
        was: { name, uid: 'uid-enos-token', resourceVersion: '20' },
        keys: ['accessToken', 'expiresAt'],
      },
    ])
  })

  it('a deleted resource does not release a key that another field manager has changed', () => {
    const managedFields = [entry('enos-credential:uid-wind-farm', 'expiresAt'), entry('kubectl-edit', 'accessToken')]
    const targetContents = new Map([
      [name, secret({ accessToken: 'a', expiresAt: 'b' }, { metadata: { managedFields } })],
    ])
    expect(deletedMerged({ targetContents })).toMatchObject([{ do: 'releaseKeys', keys: ['expiresAt'] }])
  })

  it.each<[string, ObservedInput]>([
    ['its keys are released', { targetContents: new Map([[name, secret({ theirs: 'c' })]]) }],
    ['the Secret no longer exists', { targetMetas: new Map([[name, undefined]]) }],
    ['the Secret is being deleted, too', { targetMetas: new Map([[name, metadata({ name, isDeleting: true })]]) }],
  ])('a deleted resource loses its finalizer once %s', (_, rest) => {
    expect(deletedMerged(rest)).toEqual([{ do: 'setFinalizers', reason: 'Deleted', finalizers: [] }])
  })

  it('a deleted resource keeps the finalizers of other controllers', () => {
    const actions = deleted(
      { spec: merged, finalizers: ['a.example.com/x', finalizer] },
      { targetMetas: new Map([[name, undefined]]) },
    )
    expect(actions).toEqual([{ do: 'setFinalizers', reason: 'Deleted', finalizers: ['a.example.com/x'] }])
  })

  it('a deleted resource keeps its finalizer, and reports the problem, while its keys cannot be released', () => {
    const problem = { class: 'userMustAct', reason: 'TargetWriteFailed', message: 'HTTP 403 Forbidden' } as const
    expect(deletedMerged({ targetProblems: new Map([[name, problem]]) })).toMatchObject([
      {
        do: 'patchStatus',
        status: {
          conditions: expect.arrayContaining([
            expect.objectContaining({ type: 'Stalled', reason: 'TargetWriteFailed', message: 'HTTP 403 Forbidden' }),
          ]) as unknown,
        },
      },
    ])
  })

  it('a deleted resource releases the keys of a removed target', () => {
    const removed = new Map([
      ['removed', targetRecord({ name: 'removed', uid: 'uid-removed', creationPolicy: 'Merge' })],
    ])
    const targetMetas = new Map([['removed', metadata({ name: 'removed' })]])
    expect(deleted({ finalizers: [finalizer] }, { record: removed, targetMetas })).toEqual([
      { do: 'fetchTarget', reason: 'Deleted', name: 'removed' },
    ])
  })

  it('a deleted resource follows the deletionPolicy of the spec, not the recorded one', () => {
    const spec = { targets: [{ name, creationPolicy: 'Merge', deletionPolicy: 'Retain' }] }
    expect(deletedMerged({}, { spec })).toEqual([{ do: 'setFinalizers', reason: 'Deleted', finalizers: [] }])
    const retained = new Map([[name, targetRecord({ creationPolicy: 'Merge', deletionPolicy: 'Retain' })]])
    expect(deletedMerged({ record: retained })).toEqual([{ do: 'fetchTarget', reason: 'Deleted', name }])
  })

  it('a deleted resource releases merged keys, also when the spec has creationPolicy Owner by now', () => {
    expect(deletedMerged({}, { spec: { targets: [{ name }] } })).toEqual([
      { do: 'fetchTarget', reason: 'Deleted', name },
    ])
  })

  it('a deleted resource warns of its keys in an immutable Secret, and loses its finalizer', () => {
    const managedFields = [entry('enos-credential:uid-wind-farm', 'accessToken'), entry('kubectl', 'theirs')]
    const frozen = secret({ accessToken: 'a', theirs: 'c' }, { immutable: true, metadata: { managedFields } })
    expect(deletedMerged({ targetContents: new Map([[name, frozen]]) })).toEqual([
      {
        do: 'emitEvent',
        reason: 'KeysLeftBehind',
        event: {
          type: 'Warning',
          reason: 'KeysLeftBehind',
          action: 'Sync',
          note: 'Secret enos-token is immutable, so accessToken cannot be removed from it; delete the Secret if it is no longer needed',
        },
      },
      { do: 'setFinalizers', reason: 'Deleted', finalizers: [] },
    ])
  })

  it('a deleted resource does not warn of an immutable Secret without its keys', () => {
    const frozen = secret(
      { theirs: 'c' },
      { immutable: true, metadata: { managedFields: [entry('kubectl', 'theirs')] } },
    )
    expect(deletedMerged({ targetContents: new Map([[name, frozen]]) })).toEqual([
      { do: 'setFinalizers', reason: 'Deleted', finalizers: [] },
    ])
  })

  it('a deleted resource does not release keys with deletionPolicy Retain', () => {
    const spec = { targets: [{ name, creationPolicy: 'Merge', deletionPolicy: 'Retain' }] }
    const retained = new Map([[name, targetRecord({ creationPolicy: 'Merge', deletionPolicy: 'Retain' })]])
    expect(deleted({ spec, finalizers: [finalizer] }, { record: retained, targetMetas: existing })).toEqual([
      { do: 'setFinalizers', reason: 'Deleted', finalizers: [] },
    ])
  })
})

describe('setFinalizer', () => {
  it('the finalizer is set for the recorded keys of a removed target, which are still to be released', () => {
    const removed = new Map([
      ['removed', targetRecord({ name: 'removed', uid: 'uid-removed', creationPolicy: 'Merge' })],
    ])
    const problem = { class: 'retry', reason: 'TargetWriteFailed', message: 'HTTP 500' } as const
    const one = joined({
      record: removed,
      targetMetas: new Map([['removed', metadata({ name: 'removed' })]]),
      targetProblems: new Map([['removed', problem]]),
    })
    // A failed release is not repeated in this pass; the record stays until the keys are released.
    expect(plan(one, now).actions).toEqual([{ do: 'setFinalizers', reason: 'MergedKeys', finalizers: [finalizer] }])
  })

  it('the finalizer is not set while the resource is suspended', () => {
    const kinds = plan(observed({ credential: { spec: { ...merged, suspend: true } } }), now).actions.map(
      ({ do: kind }) => kind,
    )
    expect(kinds).toEqual(['patchStatus'])
  })
})
