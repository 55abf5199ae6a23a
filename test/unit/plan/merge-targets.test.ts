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

/** The entry of a field manager in managedFields. */
function entry(of: string, ...keys: string[]): ManagedFieldsEntry {
  return { manager: of, fieldsV1: { 'f:data': Object.fromEntries(keys.map((key) => [`f:${key}`, {}])) } }
}

/** A Secret of another owner that was read in this pass. */
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

/** The plan before the first write. */
function first(input: ObservedInput = {}): readonly Action[] {
  return plan(joined({ credential, targetMetas: there, ...input }), now).actions
}

/** The plan after the first write. */
function later(input: ObservedInput = {}): readonly Action[] {
  return plan(synced({ credential, ...input }), now).actions
}

function readyOf(actions: readonly Action[]) {
  const [action] = actions
  if (action?.do !== 'patchStatus') throw new Error(`planned ${action?.do ?? 'nothing'}`)
  return action.status.conditions.find(({ type }) => type === 'Ready')
}

describe('writeTargets: keys in a Secret of another owner', () => {
  it('merged keys are written after the finalizer, which has them released at deletion', () => {
    expect(first({ credential: { spec: credential.spec } })).toEqual([
      { do: 'setFinalizers', reason: 'MergedKeys', finalizers: ['enos.io/merge-cleanup'] },
    ])
  })

  it('merged keys with deletionPolicy Retain need no finalizer, and remove an existing one', () => {
    const spec = { targets: [{ name, creationPolicy: 'Merge', deletionPolicy: 'Retain' }] }
    expect(first({ credential: { spec } })).toEqual([{ do: 'fetchTarget', reason: 'NotRecorded', name }])
    expect(first({ credential: { spec, finalizers: ['a', 'enos.io/merge-cleanup', 'b'] } })).toEqual([
      { do: 'setFinalizers', reason: 'NoMergedKeys', finalizers: ['a', 'b'] },
    ])
  })

  it.each([
    ['does not exist', undefined],
    ['is being deleted', metadata({ name, isDeleting: true })],
  ])('merged keys wait while the Secret %s, which is never created', (_, meta) => {
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

  it('merged keys are first written after a read of the Secret, without force', () => {
    expect(first()).toEqual([{ do: 'fetchTarget', reason: 'NotRecorded', name }])
    const [action] = first(read(content({})))
    if (action?.do !== 'applyKeys') throw new Error(`planned ${action?.do ?? 'nothing'}`)
    expect(action).toMatchObject({ was: { uid: 'uid-enos-token', resourceVersion: '20' }, isForced: false })
    expect(Object.keys(action.data)).toEqual(['accessToken', 'expiresAt'])
    expect(action.data['accessToken']?.reveal()).toBe(marker.token)
  })

  it('merged keys are written without a read when the application has a new token', () => {
    expect(later({ application: applicationView({ token: newToken }) })).toMatchObject([
      { do: 'applyKeys', was: { resourceVersion: '20' }, isForced: false },
    ])
  })

  it('merged keys are only confirmed when another writer changed other keys', () => {
    const of = content(ourKeys, entry(manager, 'accessToken', 'expiresAt'))
    const changed = { ...of, metadata: { ...of.metadata, resourceVersion: '21' } }
    const targetMetas = new Map([[name, metadata({ name, resourceVersion: '21' })]])
    expect(later({ targetMetas })).toEqual([{ do: 'fetchTarget', reason: 'Drift', name }])
    expect(later({ ...read(changed), targetMetas })).toMatchObject([
      { do: 'confirmTarget', was: { resourceVersion: '21' } },
    ])
  })

  it('a recorded key that another writer changed is taken back by force', () => {
    const of = content(
      { ...ourKeys, accessToken: 'forged' },
      entry(manager, 'expiresAt'),
      entry('kubectl-edit', 'accessToken'),
    )
    expect(later(read(of))).toMatchObject([{ do: 'applyKeys', isForced: true }])
  })

  it('a recorded key that another writer deleted is written again without force', () => {
    const of = content({ expiresAt: ourKeys.expiresAt }, entry(manager, 'expiresAt'))
    expect(later(read(of))).toMatchObject([{ do: 'applyKeys', isForced: false }])
  })

  it('keys that left the spec are released before the others are written', () => {
    const of = content({ ...ourKeys, old: 'x' }, entry(manager, 'accessToken', 'expiresAt', 'old'))
    const record = new Map([
      [name, targetRecord({ creationPolicy: 'Merge', keys: ['accessToken', 'expiresAt', 'old'] })],
    ])
    expect(later(read(of, { record }))).toMatchObject([
      { do: 'releaseKeys', was: { uid: 'uid-enos-token', resourceVersion: '20' }, keys: ['old'] },
    ])
  })

  it('a key of another field manager is a conflict that names the key', () => {
    const of = content({ accessToken: 'theirs' }, entry('helm', 'accessToken'))
    expect(readyOf(first(read(of)))).toMatchObject({
      status: 'False',
      reason: 'TargetConflict',
      message:
        'spec.targets: Secret enos-token already has accessToken, owned by field manager helm; name other keys, remove those, or annotate the Secret with enos.io/adopt: wind-farm to hand them over',
    })
  })

  it('a key without a field manager is a conflict', () => {
    expect(readyOf(first(read(content({ accessToken: 'theirs' }))))?.reason).toBe('TargetConflict')
  })

  it.each([
    ['quotes no field manager that is not a plain name', ['helm', 'say "hi"'], 'another field manager'],
    ['names several field managers', ['helm', 'argocd-controller'], 'field managers helm, argocd-controller'],
  ])('the message about a key of others %s', (_, managers, owner) => {
    const of = content({ accessToken: 'theirs' }, ...managers.map((one) => entry(one, 'accessToken')))
    expect(readyOf(first(read(of)))?.message).toContain(`already has accessToken, owned by ${owner}; name other keys`)
  })

  it.each([
    ['quotes the name', 'wind-fram', 'enos.io/adopt names wind-fram, not wind-farm'],
    [
      'quotes nothing that cannot be a name',
      'Wind "farm"',
      'enos.io/adopt names no resource that can exist, not wind-farm',
    ],
  ])('the message about a key of others tells of an annotation for another resource, and %s', (_, adopt, told) => {
    const of = content({ accessToken: 'theirs' }, entry('helm', 'accessToken'))
    const annotated = { ...of, metadata: { ...of.metadata, annotations: { 'enos.io/adopt': adopt } } }
    expect(readyOf(first(read(annotated)))?.message).toContain(`or correct its annotation to hand them over: ${told}`)
  })

  const isAlive = (): boolean => true
  const nameOf = (): string => 'solar-park'

  it('a key of another credential is a conflict that names the credential, and advises no adoption, which it would refuse', () => {
    const of = content(
      ourKeys,
      entry('enos-credential:uid-other', 'accessToken'),
      entry('enos-credential:uid-other', 'expiresAt'),
    )
    expect(readyOf(first(read(of, { isAlive, nameOf })))).toMatchObject({
      reason: 'TargetConflict',
      message:
        'spec.targets: Secret enos-token already has accessToken, expiresAt, which belong to EnosAppCredential solar-park: name other keys or another target',
    })
  })

  it('keys of another credential and of another tool are told apart', () => {
    const of = content(ourKeys, entry('enos-credential:uid-other', 'accessToken'), entry('helm', 'expiresAt'))
    expect(readyOf(first(read(of, { isAlive, nameOf })))?.message).toBe(
      'spec.targets: Secret enos-token already has accessToken, which belongs to EnosAppCredential solar-park: name another key or target; expiresAt, owned by field manager helm; name other keys, remove those, or annotate the Secret with enos.io/adopt: wind-farm to hand them over',
    )
  })

  it('a key of a credential that no longer exists is taken over by force', () => {
    const left = { ...ourKeys, accessToken: 'an older value' }
    const of = content(left, entry('enos-credential:uid-gone', 'accessToken', 'expiresAt'))
    expect(first(read(of))).toMatchObject([{ do: 'applyKeys', isForced: true }])
  })

  it('merged keys are not added to a Secret that another credential owns', () => {
    const meta = ownTarget({ controllerUid: 'uid-other' })
    expect(readyOf(first({ targetMetas: new Map([[name, meta]]) }))).toMatchObject({
      reason: 'TargetConflict',
      message: 'spec.targets: Secret enos-token belongs to another EnosAppCredential: name another target',
    })
  })

  it('merged keys are not added to a Secret that another credential retains, which would remove them', () => {
    const retainedFor = { name: 'other', uid: 'uid-other' }
    const meta = metadata({ name, resourceVersion: '20', retainedFor })
    const isAlive = (): boolean => true
    expect(readyOf(first({ targetMetas: new Map([[name, meta]]), isAlive }))?.reason).toBe('TargetConflict')
  })

  it.each([
    ['no longer exists', { retainedFor: { name: 'other', uid: 'uid-gone' } }],
    [
      'exists, when another object owns the Secret by now',
      { retainedFor: { name: 'other', uid: 'uid-wind-farm-2' }, controllerUid: 'x' },
    ],
  ])('merged keys are added to a Secret that was retained for a credential that %s', (_, meta) => {
    const isAlive = (uid: string): boolean => uid !== 'uid-gone'
    const targetMetas = new Map([[name, metadata({ name, resourceVersion: '20', ...meta })]])
    expect(first({ targetMetas, isAlive })).toEqual([{ do: 'fetchTarget', reason: 'NotRecorded', name }])
  })

  it('merged keys are added to a Secret that an object of another kind owns', () => {
    const meta = metadata({ name, resourceVersion: '20', controllerUid: 'uid-of-an-operator' })
    expect(first({ targetMetas: new Map([[name, meta]]) })).toEqual([
      { do: 'fetchTarget', reason: 'NotRecorded', name },
    ])
  })

  it('merged keys are not written to an immutable Secret', () => {
    expect(readyOf(first(read({ ...content({}), immutable: true })))).toMatchObject({
      reason: 'TargetWriteFailed',
      message: 'spec.targets: Secret enos-token (creationPolicy Merge) is immutable; name a Secret that is not',
    })
  })
})

describe('writeTargets: from Owner to Merge', () => {
  const owned = new Map([[name, ownTarget()]])
  const changed = {
    credential: { ...credential, generation: 2 },
    record: new Map([[name, targetRecord()]]),
    targetMetas: owned,
  }
  const managed = entry(operator, 'accessToken', 'expiresAt', 'old')

  it('a target that becomes Merge is read, then disowned with its keys', () => {
    expect(later(changed)).toEqual([{ do: 'fetchTarget', reason: 'SpecChanged', name }])
    const of = content({ ...ourKeys, old: 'x' }, managed)
    expect(later({ ...read(of), ...changed })).toMatchObject([
      { do: 'disownTarget', was: { resourceVersion: '20' }, keptKeys: ['accessToken', 'expiresAt'] },
    ])
  })

  it('a disowned target is recorded with its present keys alone, since a missing one may get another owner', () => {
    const of = content({ accessToken: marker.token }, managed)
    expect(later({ ...read(of), ...changed })).toMatchObject([
      { do: 'disownTarget', keptKeys: ['accessToken'], stamp: { keys: ['accessToken'] } },
    ])
  })

  it('a disowned target is recorded with the token that it held, since its keys keep their values', () => {
    const recorded = targetRecord({}, heldToken({ value: 'older' }))
    const given = { ...changed, record: new Map([[name, recorded]]) }
    const of = content({ accessToken: 'older' }, managed)
    expect(later({ ...read(of), ...given })).toMatchObject([{ do: 'disownTarget', stamp: { token: recorded.token } }])
    const [unrecorded] = later({ ...read(of), ...given, record: new Map() })
    expect(unrecorded).toMatchObject({ do: 'disownTarget', stamp: { token: undefined } })
  })

  it('a disowned target is read again, and its keys are taken over', () => {
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

describe('writeTargets: from Merge to Owner', () => {
  it('a target that becomes Owner in a Secret of another owner is a conflict, and Ready stays True', () => {
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
