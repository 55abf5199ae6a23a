import { describe, expect, it } from 'vitest'
import type { ManagedFieldsEntry } from '../../../src/kubernetes/types.ts'
import type { Action } from '../../../src/plan/actions.ts'
import { plan } from '../../../src/plan/plan.ts'
import type { Secret } from '../../../src/targets/secret.ts'
import {
  applicationView,
  heldToken,
  hourMs,
  joined,
  marker,
  metadata,
  now,
  type ObservedInput,
  operator,
  ownTarget,
  secret,
  synced,
  targetRecord,
} from '../../support/builders.ts'

const name = 'enos-token'
const manager = 'enos-credential:uid-wind-farm'
const credential = {
  finalizers: ['enos.io/merge-cleanup'],
  spec: { targets: [{ name, creationPolicy: 'Merge' }] },
}
const newToken = heldToken({ value: 'the next token', expiresAt: now + 3 * hourMs, issuedAtWall: now })
const ourKeys = { accessToken: marker.token, expiresAt: '2026-01-01T13:00:00Z' }

/** What the API server's books have for a field manager. */
function entry(of: string, ...keys: string[]): ManagedFieldsEntry {
  return { manager: of, fieldsV1: { 'f:data': Object.fromEntries(keys.map((key) => [`f:${key}`, {}])) } }
}

/** Somebody else's Secret, read in this look. */
function content(data: Record<string, string>, ...managedFields: ManagedFieldsEntry[]): Secret {
  return secret(
    { theirs: 'x', ...data },
    { metadata: { managedFields: [entry('kubectl', 'theirs'), ...managedFields] } },
  )
}

function read(of: Secret, input: ObservedInput = {}): ObservedInput {
  return { credential, targetContents: new Map([[name, of]]), ...input }
}

const there = new Map([[name, metadata({ name, resourceVersion: '20' })]])

/** Before the first write. */
function first(input: ObservedInput = {}): readonly Action[] {
  return plan(joined({ credential, targetMetas: there, ...input }), now).actions
}

/** After it. */
function later(input: ObservedInput = {}): readonly Action[] {
  return plan(synced({ credential, ...input }), now).actions
}

function readyOf(actions: readonly Action[]) {
  const [action] = actions
  if (action?.do !== 'patchStatus') throw new Error(`planned ${action?.do ?? 'nothing'}`)
  return action.status.conditions.find(({ type }) => type === 'Ready')
}

describe('keys in somebody else’s Secret', () => {
  it('are preceded by the finalizer that has them taken out again', () => {
    expect(first({ credential: { spec: credential.spec } })).toEqual([
      { do: 'setFinalizers', reason: 'MergedKeys', finalizers: ['enos.io/merge-cleanup'] },
    ])
  })

  it('need no finalizer when they are to stay, and lose the one that they had', () => {
    const spec = { targets: [{ name, creationPolicy: 'Merge', deletionPolicy: 'Retain' }] }
    expect(first({ credential: { spec } })).toEqual([{ do: 'fetchTarget', reason: 'NotRecorded', name }])
    expect(first({ credential: { spec, finalizers: ['a', 'enos.io/merge-cleanup', 'b'] } })).toEqual([
      { do: 'setFinalizers', reason: 'NoMergedKeys', finalizers: ['a', 'b'] },
    ])
  })

  it.each([
    ['is not there', undefined],
    ['is on its way out', metadata({ name, isDeleting: true })],
  ])('wait for it while it %s: nothing is created', (_, meta) => {
    const actions = first({ targetMetas: new Map([[name, meta]]) })
    expect(actions).toMatchObject([
      {
        status: {
          conditions: [
            { type: 'Ready', status: 'False', reason: 'TargetMissing' },
            { type: 'RenewalHealthy', status: 'True' },
            { type: 'Reconciling', status: 'True', reason: 'TargetMissing' },
          ],
        },
      },
    ])
    expect(readyOf(actions)?.message).toBe(
      'spec.targets: Secret enos-token (creationPolicy Merge) does not exist; create it, and the operator adds its keys',
    )
  })

  it('are written after a look at what is there, without force', () => {
    expect(first()).toEqual([{ do: 'fetchTarget', reason: 'NotRecorded', name }])
    const [action] = first(read(content({})))
    if (action?.do !== 'applyKeys') throw new Error(`planned ${action?.do ?? 'nothing'}`)
    expect(action).toMatchObject({ was: { uid: 'uid-enos-token', resourceVersion: '20' }, isForced: false })
    expect(Object.keys(action.data)).toEqual(['accessToken', 'expiresAt'])
    expect(action.data['accessToken']?.reveal()).toBe(marker.token)
  })

  it('are written without a look when there is a new token', () => {
    expect(later({ application: applicationView({ token: newToken }) })).toMatchObject([
      { do: 'applyKeys', was: { resourceVersion: '20' }, isForced: false },
    ])
  })

  it('are left alone when somebody changed other keys: the new version is only confirmed', () => {
    const of = content(ourKeys, entry(manager, 'accessToken', 'expiresAt'))
    const changed = { ...of, metadata: { ...of.metadata, resourceVersion: '21' } }
    const targetMetas = new Map([[name, metadata({ name, resourceVersion: '21' })]])
    expect(later({ targetMetas })).toEqual([{ do: 'fetchTarget', reason: 'Drift', name }])
    expect(later({ ...read(changed), targetMetas })).toMatchObject([
      { do: 'confirmTarget', was: { resourceVersion: '21' } },
    ])
  })

  it('are forced when somebody changed one that is recorded as ours', () => {
    const of = content(
      { ...ourKeys, accessToken: 'forged' },
      entry(manager, 'expiresAt'),
      entry('kubectl-edit', 'accessToken'),
    )
    expect(later(read(of))).toMatchObject([{ do: 'applyKeys', isForced: true }])
  })

  it('are put back without force when somebody deleted one', () => {
    const of = content({ expiresAt: ourKeys.expiresAt }, entry(manager, 'expiresAt'))
    expect(later(read(of))).toMatchObject([{ do: 'applyKeys', isForced: false }])
  })

  it('are taken out when the spec has them no more, before the others are written', () => {
    const of = content({ ...ourKeys, old: 'x' }, entry(manager, 'accessToken', 'expiresAt', 'old'))
    const record = new Map([
      [name, targetRecord({ creationPolicy: 'Merge', keys: ['accessToken', 'expiresAt', 'old'] })],
    ])
    expect(later(read(of, { record }))).toMatchObject([
      { do: 'releaseKeys', was: { uid: 'uid-enos-token', resourceVersion: '20' }, keys: ['old'] },
    ])
  })

  it('stay with who holds them: a key of somebody else is a conflict that names it', () => {
    const of = content({ accessToken: 'theirs' }, entry('helm', 'accessToken'))
    expect(readyOf(first(read(of)))).toMatchObject({
      status: 'False',
      reason: 'TargetConflict',
      message:
        'spec.targets: Secret enos-token already has accessToken, owned by another field manager; name other keys, remove those, or annotate the Secret with enos.io/adopt: wind-farm to hand them over',
    })
  })

  it('are a conflict as well when the books say nothing of who set them', () => {
    expect(readyOf(first(read(content({ accessToken: 'theirs' }))))?.reason).toBe('TargetConflict')
  })

  it('stay with another resource of this kind while that is there', () => {
    const of = content(ourKeys, entry('enos-credential:uid-other', 'accessToken', 'expiresAt'))
    const isAlive = (): boolean => true
    expect(readyOf(first(read(of, { isAlive })))?.reason).toBe('TargetConflict')
  })

  it('are taken over by force from one that is gone', () => {
    const left = { ...ourKeys, accessToken: 'what it left behind' }
    const of = content(left, entry('enos-credential:uid-gone', 'accessToken', 'expiresAt'))
    expect(first(read(of))).toMatchObject([{ do: 'applyKeys', isForced: true }])
  })

  it('are not added to a Secret that another resource of this kind owns', () => {
    const meta = ownTarget({ controllerUid: 'uid-other' })
    expect(readyOf(first({ targetMetas: new Map([[name, meta]]) }))).toMatchObject({
      reason: 'TargetConflict',
      message: 'spec.targets: Secret enos-token belongs to another EnosAppCredential: name another target',
    })
  })

  it('are not added to a Secret that another resource retains, which would take them out again', () => {
    const retainedFor = { name: 'other', uid: 'uid-other' }
    const meta = metadata({ name, resourceVersion: '20', retainedFor })
    const isAlive = (): boolean => true
    expect(readyOf(first({ targetMetas: new Map([[name, meta]]), isAlive }))?.reason).toBe('TargetConflict')
  })

  it.each([
    ['is gone', { retainedFor: { name: 'other', uid: 'uid-gone' } }],
    [
      'is there, when something else owns it now',
      { retainedFor: { name: 'other', uid: 'uid-wind-farm-2' }, controllerUid: 'x' },
    ],
  ])('are added to a Secret that was retained for a resource that %s', (_, meta) => {
    const isAlive = (uid: string): boolean => uid !== 'uid-gone'
    const targetMetas = new Map([[name, metadata({ name, resourceVersion: '20', ...meta })]])
    expect(first({ targetMetas, isAlive })).toEqual([{ do: 'fetchTarget', reason: 'NotRecorded', name }])
  })

  it('are added to a Secret that something else owns', () => {
    const meta = metadata({ name, resourceVersion: '20', controllerUid: 'uid-of-an-operator' })
    expect(first({ targetMetas: new Map([[name, meta]]) })).toEqual([
      { do: 'fetchTarget', reason: 'NotRecorded', name },
    ])
  })

  it('are not written to an immutable Secret', () => {
    expect(readyOf(first(read({ ...content({}), immutable: true })))).toMatchObject({
      reason: 'TargetWriteFailed',
      message: 'spec.targets: Secret enos-token (creationPolicy Merge) is immutable; name a Secret that is not',
    })
  })
})

describe('a target that goes from Owner to Merge', () => {
  const owned = new Map([[name, ownTarget()]])
  const changed = {
    credential: { ...credential, generation: 2 },
    record: new Map([[name, targetRecord()]]),
    targetMetas: owned,
  }
  const managed = entry(operator, 'accessToken', 'expiresAt', 'old')

  it('is read, then given away: its keys stay', () => {
    expect(later(changed)).toEqual([{ do: 'fetchTarget', reason: 'SpecChanged', name }])
    const of = content({ ...ourKeys, old: 'x' }, managed)
    expect(later({ ...read(of), ...changed })).toMatchObject([
      { do: 'disownTarget', was: { resourceVersion: '20' }, keptKeys: ['accessToken', 'expiresAt'] },
    ])
  })

  it('is recorded with the keys that it keeps alone: one that it has not got yet may be somebody else’s by then', () => {
    const of = content({ accessToken: marker.token }, managed)
    expect(later({ ...read(of), ...changed })).toMatchObject([
      { do: 'disownTarget', keptKeys: ['accessToken'], stamp: { keys: ['accessToken'] } },
    ])
  })

  it('is read again once it is given away, and its keys are taken over', () => {
    const record = new Map([[name, targetRecord({ creationPolicy: 'Merge', inputs: '', resourceVersion: '21' })]])
    const targetMetas = new Map([[name, metadata({ name, resourceVersion: '21' })]])
    const given = { credential: changed.credential, record, targetMetas }
    expect(later(given)).toEqual([{ do: 'fetchTarget', reason: 'SpecChanged', name }])
    const of = content(ourKeys, entry(operator, 'accessToken', 'expiresAt'))
    const targetContents = new Map([[name, of]])
    expect(later({ ...given, targetContents })).toMatchObject([{ do: 'applyKeys', isForced: false }])
    const application = applicationView({ token: newToken })
    expect(later({ ...given, targetContents, application })).toMatchObject([{ do: 'applyKeys', isForced: true }])
  })
})

describe('a target that goes from Merge to Owner', () => {
  it('is a conflict, for the Secret is somebody else’s; what is in it stays valid', () => {
    const record = new Map([[name, targetRecord({ creationPolicy: 'Merge' })]])
    const { finalizers } = credential
    const one = synced({ credential: { finalizers, generation: 2 }, record, targetMetas: there })
    expect(plan(one, now).actions).toMatchObject([
      {
        status: { conditions: [{ type: 'Ready', status: 'True' }, {}, { type: 'Stalled', reason: 'TargetConflict' }] },
      },
    ])
  })
})
