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

/** A target of this name is there, as the watch has it. */
function there(meta: Parameters<typeof metadata>[0], input: ObservedInput = {}): ObservedInput {
  return { targetMetas: new Map([[name, metadata({ name, ...meta })]]), ...input }
}

function statusOf(input: ObservedInput) {
  const [action] = plan(joined(input), now).actions
  if (action?.do !== 'patchStatus') throw new Error(`planned ${action?.do ?? 'nothing'}`)
  return action.status
}

describe('a Secret that is there and not ours', () => {
  it.each([
    [
      'made by hand',
      {},
      'already exists and is not owned by this resource; to have it adopted, annotate it with enos.io/adopt: wind-farm; otherwise delete it, or name another target',
    ],
    [
      'of another owner',
      { controllerUid: 'uid-of-a-deployment' },
      'already exists and is not owned by this resource (another object controls it); delete it, or name another target',
    ],
    [
      'of another resource of this kind',
      { controllerUid: 'uid-other', isControlledByCredential: true },
      'belongs to another EnosAppCredential: name another target',
    ],
  ])('is neither read nor written: %s', (_, meta, remark) => {
    const message = `spec.targets: Secret enos-token ${remark}`
    expect(statusOf(there(meta)).conditions).toMatchObject([
      { type: 'Ready', status: 'False', reason: 'TargetConflict', message },
      { type: 'RenewalHealthy', status: 'True' },
      { type: 'Stalled', status: 'True', reason: 'TargetConflict', message },
    ])
  })

  it('does not keep the other targets from their token', () => {
    const spec = { targets: [{ name }, { name: 'second' }] }
    const { actions } = plan(joined(there({}, { credential: { spec } })), now)
    expect(actions).toMatchObject([{ do: 'createTarget', desired: { name: 'second' } }])
  })

  it('is left alone when it came in the place of ours, of which the record is dropped', () => {
    expect(plan(synced({ targetMetas: new Map([[name, foreign]]) }), now).actions).toEqual([
      { do: 'forgetTarget', reason: 'Missing', name },
    ])
    expect(statusOf(there({ uid: 'uid-foreign' })).conditions[0]?.reason).toBe('TargetConflict')
  })

  it('is left alone when somebody else took over what was ours', () => {
    const stolen = ownTarget({ controllerUid: 'uid-thief', isControlledByCredential: false, resourceVersion: '21' })
    const { actions } = plan(synced({ targetMetas: new Map([[name, stolen]]) }), now)
    expect(actions).toMatchObject([{ status: { conditions: [{ reason: 'TargetConflict' }, {}, {}] } }])
  })

  it('is not taken for ours by labels: only owner and record count', () => {
    expect(isOurs(observed(), metadata({ name, writtenAtWall: now }))).toBe(false)
  })
})

describe('a retained Secret', () => {
  const own = { name: 'wind-farm', uid: 'uid-wind-farm' }
  const former = { name: 'wind-farm', uid: 'uid-gone' }

  it('has no owner, and says whose it was', () => {
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

  it('is ours by its annotations', () => {
    expect(isOurs(observed(), metadata({ name, retainedFor: own }))).toBe(true)
  })

  it('is adopted by a resource of the same name when the one that wrote it is gone', () => {
    const { actions } = plan(joined(there({ retainedFor: former }, { credential: { spec: retained } })), now)
    expect(actions).toEqual([{ do: 'fetchTarget', reason: 'NotRecorded', name }])
  })

  it('is not adopted while the one that wrote it is there', () => {
    const isAlive = () => true
    expect(statusOf(there({ retainedFor: former }, { isAlive })).conditions[0]?.reason).toBe('TargetConflict')
  })

  it('is not adopted by a resource of another name', () => {
    const input = there({ retainedFor: { ...former, name: 'solar-farm' } })
    expect(statusOf(input).conditions[0]?.reason).toBe('TargetConflict')
  })

  it('is not ours when it has got an owner since', () => {
    expect(isOurs(observed(), metadata({ name, retainedFor: own, controllerUid: 'uid-thief' }))).toBe(false)
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
    ['is true for a Secret of ours', one({ controllerUid: 'uid-wind-farm' }), true],
    ['is false for one that is gone', one(undefined), false],
    ['is false for one of the same name', one({ uid: 'uid-another', controllerUid: 'uid-wind-farm' }), false],
    ['is false for one that has lost its owner', one({}), false],
    [
      'is true for a merged one, whoever owns it',
      one({ controllerUid: 'x' }, targetRecord({ creationPolicy: 'Merge' })),
      true,
    ],
    ['is false for one that was never written', isStillTarget(observed(there({})), name), false],
  ])('%s', (_, is, expected) => {
    expect(is).toBe(expected)
  })
})

describe('targets that hold different tokens', () => {
  it('count as holding the one that expires first', () => {
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
          // Only what holds that token is known by its version after a restart.
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
