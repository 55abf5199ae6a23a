import { describe, expect, it } from 'vitest'
import { isOurs, isStillTarget } from '../../../src/observe/ownership.ts'
import { plan } from '../../../src/plan/plan.ts'
import {
  heldToken,
  joined,
  metadata,
  now,
  observed,
  type ObservedInput,
  ownTarget,
  synced,
  targetRecord,
} from '../../support/builders.ts'

const name = 'enos-token'
const foreign = metadata({ name, uid: 'uid-foreign' })
const retained = { targets: [{ name, deletionPolicy: 'Retain' }] }

/** The input with an existing Secret of the name of the target. */
function there(meta: Parameters<typeof metadata>[0], input: ObservedInput = {}): ObservedInput {
  return { targetMetas: new Map([[name, metadata({ name, ...meta })]]), ...input }
}

function statusOf(input: ObservedInput) {
  const [action] = plan(joined(input), now).actions
  if (action?.do !== 'patchStatus') throw new Error(`planned ${action?.do ?? 'nothing'}`)
  return action.status
}

describe('writeTargets: a foreign Secret', () => {
  it.each([
    [
      'created by a user',
      {},
      'already exists and is not owned by this resource; to have it adopted (possible if its type is Opaque and it is not immutable), annotate it with enos.io/adopt: wind-farm; otherwise delete it, or name another target',
    ],
    [
      'of another owner',
      { controllerUid: 'uid-of-a-deployment' },
      'already exists and is not owned by this resource (another object controls it); delete it, or name another target',
    ],
    [
      'of another credential',
      { controllerUid: 'uid-other', isControlledByCredential: true },
      'belongs to another EnosAppCredential: name another target',
    ],
  ])('a foreign Secret is neither read nor written: %s', (_, meta, remark) => {
    const message = `spec.targets: Secret enos-token ${remark}`
    expect(statusOf(there(meta)).conditions).toMatchObject([
      { type: 'Ready', status: 'False', reason: 'TargetConflict', message },
      { type: 'RenewalHealthy', status: 'True' },
      { type: 'Stalled', status: 'True', reason: 'TargetConflict', message },
    ])
  })

  it('a foreign Secret does not keep the other targets from their token', () => {
    const spec = { targets: [{ name }, { name: 'second' }] }
    const { actions } = plan(joined(there({}, { credential: { spec } })), now)
    expect(actions).toMatchObject([{ do: 'createTarget', desired: { name: 'second' } }])
  })

  it('a foreign Secret that replaced an owned one is not touched, and the record is dropped', () => {
    expect(plan(synced({ targetMetas: new Map([[name, foreign]]) }), now).actions).toEqual([
      { do: 'forgetTarget', reason: 'Missing', name },
    ])
    expect(statusOf(there({ uid: 'uid-foreign' })).conditions[0]?.reason).toBe('TargetConflict')
  })

  it('a Secret that another owner took over is not touched', () => {
    const takenOver = ownTarget({
      controllerUid: 'uid-of-another-owner',
      isControlledByCredential: false,
      resourceVersion: '21',
    })
    const { actions } = plan(synced({ targetMetas: new Map([[name, takenOver]]) }), now)
    expect(actions).toMatchObject([{ status: { conditions: [{ reason: 'TargetConflict' }, {}, {}] } }])
  })

  it('isOurs goes by owner and record, never by labels', () => {
    expect(isOurs(observed(), metadata({ name, writtenAtWall: now }))).toBe(false)
  })
})

describe('writeTargets: a retained Secret', () => {
  const own = { name: 'wind-farm', uid: 'uid-wind-farm' }
  const previous = { name: 'wind-farm', uid: 'uid-gone' }

  it('a retained Secret has no owner reference, and names its credential in annotations', () => {
    const { actions } = plan(joined({ credential: { spec: retained } }), now)
    expect(actions).toMatchObject([
      {
        do: 'createTarget',
        desired: {
          owner: undefined,
          annotations: { 'enos.io/credential': 'wind-farm', 'enos.io/credential-uid': 'uid-wind-farm' },
        },
        stamp: { deletionPolicy: 'Retain' },
      },
    ])
  })

  it('a retained Secret is owned by its annotations', () => {
    expect(isOurs(observed(), metadata({ name, retainedFor: own }))).toBe(true)
  })

  it('a retained Secret is adopted by a credential of the same name when its writer no longer exists', () => {
    const { actions } = plan(joined(there({ retainedFor: previous }, { credential: { spec: retained } })), now)
    expect(actions).toEqual([{ do: 'fetchTarget', reason: 'NotRecorded', name }])
  })

  it('a retained Secret is not adopted while its writer exists', () => {
    const isAlive = () => true
    expect(statusOf(there({ retainedFor: previous }, { isAlive })).conditions[0]?.reason).toBe('TargetConflict')
  })

  it('a retained Secret is not adopted by a credential of another name', () => {
    const input = there({ retainedFor: { ...previous, name: 'solar-farm' } })
    expect(statusOf(input).conditions[0]?.reason).toBe('TargetConflict')
  })

  it('a retained Secret with another owner by now is not ours', () => {
    expect(isOurs(observed(), metadata({ name, retainedFor: own, controllerUid: 'uid-of-another-owner' }))).toBe(false)
  })
})

describe('isStillTarget', () => {
  const one = (meta: Parameters<typeof metadata>[0] | undefined, record = targetRecord()) =>
    isStillTarget(
      observed({
        targetMetas: new Map([[name, meta === undefined ? undefined : metadata({ name, ...meta })]]),
        record: new Map([[name, record]]),
      }),
      name,
    )

  it.each<[string, boolean, boolean]>([
    ['isStillTarget is true for an owned Secret', one({ controllerUid: 'uid-wind-farm' }), true],
    ['isStillTarget is false for a Secret that no longer exists', one(undefined), false],
    [
      'isStillTarget is false for a Secret that was recreated',
      one({ uid: 'uid-another', controllerUid: 'uid-wind-farm' }),
      false,
    ],
    ['isStillTarget is false for a Secret that has lost its owner reference', one({}), false],
    [
      'isStillTarget is true for a merged target with any owner',
      one({ controllerUid: 'x' }, targetRecord({ creationPolicy: 'Merge' })),
      true,
    ],
    ['isStillTarget is false for a Secret without a record', isStillTarget(observed(there({})), name), false],
  ])('%s', (_, is, expected) => {
    expect(is).toBe(expected)
  })
})

describe('tokenOnTargets', () => {
  it('targets with different tokens count as holding the one that expires first', () => {
    const spec = { targets: [{ name: 'a' }, { name: 'b' }] }
    const base = synced({ credential: { spec } })
    const older = heldToken({ value: 'older', expiresAt: now + 1000 })
    const recordOfB = base.record.get('b')
    const record = new Map(base.record).set('b', {
      ...targetRecord({}, older),
      ...recordOfB,
      token: targetRecord({}, older).token,
    })
    const problem = { class: 'retry', reason: 'TargetWriteFailed', message: 'HTTP 500' } as const
    const { actions, requeueAt } = plan(
      synced({ credential: { spec }, record, targetProblems: new Map([['b', problem]]) }),
      now,
    )
    expect(actions).toMatchObject([
      {
        status: {
          tokenFingerprint: older.fingerprint,
          // Only targets with that token have a resourceVersion, which a restart relies on.
          targets: [
            { name: 'a', resourceVersion: '' },
            { name: 'b', resourceVersion: '20' },
          ],
        },
      },
    ])
    expect(requeueAt).toBe(now + 1000)
  })
})
