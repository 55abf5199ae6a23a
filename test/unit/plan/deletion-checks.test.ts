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
const there = new Map([[name, metadata({ name, resourceVersion: '20' })]])
const entry = (manager: string, ...keys: string[]) => ({
  manager,
  fieldsV1: { 'f:data': Object.fromEntries(keys.map((key) => [`f:${key}`, {}])) },
})

function deleted(credential: CredentialInput = {}, rest: ObservedInput = {}): readonly Action[] {
  const given = { isDeleting: true, ...credential }
  return plan(observed({ ...rest, credential: given }), now).actions
}

/** One that has keys in somebody else's Secret. */
function mergedOne(rest: ObservedInput = {}, credential: CredentialInput = {}): readonly Action[] {
  return deleted({ spec: merged, finalizers: [finalizer], ...credential }, { record, targetMetas: there, ...rest })
}

describe('a resource that is being deleted', () => {
  it('leaves its application first', () => {
    expect(plan(joined({ credential: { isDeleting: true } }), now).actions).toEqual([
      { do: 'leave', reason: 'Deleted' },
    ])
  })

  it('needs nothing more when all its targets are its own: the garbage collector takes them', () => {
    const targetMetas = new Map([[name, ownTarget()]])
    expect(deleted({}, { targetMetas, record: new Map([[name, targetRecord()]]) })).toEqual([])
    expect(plan(observed({ credential: { isDeleting: true } }), now).requeueAt).toBeUndefined()
  })

  it('says nothing, however long somebody else’s finalizer keeps it', () => {
    expect(deleted({ finalizers: ['foregroundDeletion'] })).toEqual([])
  })

  it.each<[string, CredentialInput, ObservedInput]>([
    ['while suspended', { spec: { ...merged, suspend: true } }, {}],
    ['at a gateway that is not allowed', {}, { isGatewayAllowed: false }],
    ['without its sources', {}, { sourceMetas: [undefined] }],
    ['with a broken template', { spec: { targets: [{ ...merged.targets[0], data: { a: '{{ nope }}' } }] } }, {}],
  ])('takes its keys out of somebody else’s Secret, also %s', (_, credential, rest) => {
    const actions = deleted(
      { spec: merged, finalizers: [finalizer], ...credential },
      { record, targetMetas: there, ...rest },
    )
    expect(actions).toEqual([{ do: 'fetchTarget', reason: 'Deleted', name }])
  })

  it('takes out the keys that are its own, and no others', () => {
    const data = { accessToken: 'a', expiresAt: 'b', theirs: 'c' }
    const managedFields = [
      entry('enos-credential:uid-wind-farm', 'accessToken', 'expiresAt'),
      entry('kubectl', 'theirs'),
    ]
    const targetContents = new Map([[name, secret(data, { metadata: { managedFields } })]])
    expect(mergedOne({ targetContents })).toEqual([
      {
        do: 'releaseKeys',
        reason: 'Deleted',
        was: { name, uid: 'uid-enos-token', resourceVersion: '20' },
        keys: ['accessToken', 'expiresAt'],
      },
    ])
  })

  it('leaves a key to somebody who has changed it since', () => {
    const managedFields = [entry('enos-credential:uid-wind-farm', 'expiresAt'), entry('kubectl-edit', 'accessToken')]
    const targetContents = new Map([
      [name, secret({ accessToken: 'a', expiresAt: 'b' }, { metadata: { managedFields } })],
    ])
    expect(mergedOne({ targetContents })).toMatchObject([{ do: 'releaseKeys', keys: ['expiresAt'] }])
  })

  it.each<[string, ObservedInput]>([
    ['its keys are out', { targetContents: new Map([[name, secret({ theirs: 'c' })]]) }],
    ['the Secret is gone', { targetMetas: new Map([[name, undefined]]) }],
    ['the Secret is on its way out itself', { targetMetas: new Map([[name, metadata({ name, isDeleting: true })]]) }],
  ])('goes once %s', (_, rest) => {
    expect(mergedOne(rest)).toEqual([{ do: 'setFinalizers', reason: 'Deleted', finalizers: [] }])
  })

  it('leaves the finalizers of others where they are', () => {
    const actions = deleted(
      { spec: merged, finalizers: ['a.example.com/x', finalizer] },
      { targetMetas: new Map([[name, undefined]]) },
    )
    expect(actions).toEqual([{ do: 'setFinalizers', reason: 'Deleted', finalizers: ['a.example.com/x'] }])
  })

  it('stays, and says why, while its keys cannot be taken out', () => {
    const problem = { class: 'userMustAct', reason: 'TargetWriteFailed', message: 'HTTP 403 Forbidden' } as const
    expect(mergedOne({ targetProblems: new Map([[name, problem]]) })).toMatchObject([
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

  it('takes its keys out of a Secret that left the spec before, too', () => {
    const former = new Map([['former', targetRecord({ name: 'former', uid: 'uid-former', creationPolicy: 'Merge' })]])
    const targetMetas = new Map([['former', metadata({ name: 'former' })]])
    expect(deleted({ finalizers: [finalizer] }, { record: former, targetMetas })).toEqual([
      { do: 'fetchTarget', reason: 'Deleted', name: 'former' },
    ])
  })

  it('goes by the deletionPolicy of the spec, though another one was recorded: it is the last word of the user', () => {
    const spec = { targets: [{ name, creationPolicy: 'Merge', deletionPolicy: 'Retain' }] }
    expect(mergedOne({}, { spec })).toEqual([{ do: 'setFinalizers', reason: 'Deleted', finalizers: [] }])
    const retained = new Map([[name, targetRecord({ creationPolicy: 'Merge', deletionPolicy: 'Retain' })]])
    expect(mergedOne({ record: retained })).toEqual([{ do: 'fetchTarget', reason: 'Deleted', name }])
  })

  it('takes out keys that were merged, though the spec would own the Secret now', () => {
    expect(mergedOne({}, { spec: { targets: [{ name }] } })).toEqual([{ do: 'fetchTarget', reason: 'Deleted', name }])
  })

  it('goes without the keys in a Secret that was made immutable, and says that they stay', () => {
    const managedFields = [entry('enos-credential:uid-wind-farm', 'accessToken'), entry('kubectl', 'theirs')]
    const frozen = secret({ accessToken: 'a', theirs: 'c' }, { immutable: true, metadata: { managedFields } })
    expect(mergedOne({ targetContents: new Map([[name, frozen]]) })).toEqual([
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

  it('says nothing of an immutable Secret that has no key of its own', () => {
    const frozen = secret(
      { theirs: 'c' },
      { immutable: true, metadata: { managedFields: [entry('kubectl', 'theirs')] } },
    )
    expect(mergedOne({ targetContents: new Map([[name, frozen]]) })).toEqual([
      { do: 'setFinalizers', reason: 'Deleted', finalizers: [] },
    ])
  })

  it('leaves keys that are to be retained where they are', () => {
    const spec = { targets: [{ name, creationPolicy: 'Merge', deletionPolicy: 'Retain' }] }
    const retained = new Map([[name, targetRecord({ creationPolicy: 'Merge', deletionPolicy: 'Retain' })]])
    expect(deleted({ spec, finalizers: [finalizer] }, { record: retained, targetMetas: there })).toEqual([
      { do: 'setFinalizers', reason: 'Deleted', finalizers: [] },
    ])
  })
})

describe('the finalizer', () => {
  it('is set for keys that are only recorded: they are still to be taken out', () => {
    const former = new Map([['former', targetRecord({ name: 'former', uid: 'uid-former', creationPolicy: 'Merge' })]])
    const problem = { class: 'retry', reason: 'TargetWriteFailed', message: 'HTTP 500' } as const
    const one = joined({
      record: former,
      targetMetas: new Map([['former', metadata({ name: 'former' })]]),
      targetProblems: new Map([['former', problem]]),
    })
    // What failed is given up in this look; the record goes with it only when the keys do.
    expect(plan(one, now).actions).toEqual([{ do: 'setFinalizers', reason: 'MergedKeys', finalizers: [finalizer] }])
  })

  it('is not set while the resource is suspended: nothing is written', () => {
    const kinds = plan(observed({ credential: { spec: { ...merged, suspend: true } } }), now).actions.map(
      ({ do: kind }) => kind,
    )
    expect(kinds).toEqual(['patchStatus'])
  })
})
