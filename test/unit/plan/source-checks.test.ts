import { describe, expect, it } from 'vitest'
import { plan } from '../../../src/plan/plan.ts'
import { isSameVersions } from '../../../src/plan/source-checks.ts'
import {
  hourMs,
  joined,
  membership,
  metadata,
  now,
  observed,
  type ObservedInput,
  restarted,
  sources,
  synced,
} from '../../support/builders.ts'

const twoSources = { appKeyRef: { name: 'keys' }, appSecretRef: { name: 'secrets' } }
const withCa = { gateway: { caRef: { kind: 'ConfigMap', name: 'corp-ca' } } }

/** The conditions of a resource that was created more than a second ago. */
function conditionsOf(input: ObservedInput) {
  const [action] = plan(observed(input), now).actions
  if (action?.do !== 'patchStatus') throw new Error(`planned ${action?.do ?? 'nothing'}`)
  return Object.fromEntries(action.status.conditions.map(({ message, reason, type }) => [type, { reason, message }]))
}

describe('fetchSources and rejectBrokenSources', () => {
  it('sources that exist and are not in memory are read', () => {
    expect(plan(observed(), now).actions).toEqual([{ do: 'fetchSources', reason: 'SourcesNotInMemory' }])
  })

  it('sources are not read again while their versions stay the same', () => {
    expect(plan(joined(), now).actions).not.toContainEqual({ do: 'fetchSources' })
  })

  it.each([
    ['resourceVersion', metadata({ resourceVersion: '11' })],
    ['uid, since it was recreated', metadata({ uid: 'uid-another', resourceVersion: '10' })],
  ])('sources are read again, before anything else, when one has another %s', (_, meta) => {
    expect(plan(synced({ sourceMetas: [meta] }), now).actions).toEqual([
      { do: 'fetchSources', reason: 'SourceChanged' },
    ])
  })

  it('sources are read again when the spec names another Secret', () => {
    const input = { credential: { generation: 2, spec: twoSources } }
    expect(plan(joined(input), now).actions).toEqual([{ do: 'fetchSources', reason: 'SourceChanged' }])
  })

  it.each([
    { appKeyRef: { name: 'enos-app', key: 'another' } },
    { appSecretRef: { name: 'enos-app', key: 'another' } },
  ])('sources are read again when the spec names another key of the Secret: %j', (spec) => {
    expect(plan(joined({ credential: { generation: 2, spec } }), now).actions).toEqual([
      { do: 'fetchSources', reason: 'SourceChanged' },
    ])
  })

  it('sources are read again when a caRef is added to the spec', () => {
    expect(plan(joined({ credential: { generation: 2, spec: withCa } }), now).actions).toEqual([
      { do: 'fetchSources', reason: 'SourceChanged' },
    ])
  })

  it('a source Secret that does not exist stops the plan; the message names Secret, namespace and both fields', () => {
    const { Ready, Stalled } = conditionsOf({ sourceMetas: [undefined] })
    expect(Ready).toEqual({
      reason: 'SourceSecretNotFound',
      message: 'spec.appKeyRef and spec.appSecretRef: Secret enos-app does not exist in namespace plant-a',
    })
    expect(Stalled).toEqual(Ready)
  })

  it('one of two source Secrets that does not exist stops the plan; the message names that one', () => {
    const input = { credential: { spec: twoSources }, sourceMetas: [metadata({ name: 'keys' }), undefined] }
    expect(conditionsOf(input)['Ready']?.message).toBe(
      'spec.appSecretRef: Secret secrets does not exist in namespace plant-a',
    )
  })

  it('all sources that do not exist are named in one message', () => {
    const input = { credential: { spec: twoSources }, sourceMetas: [undefined, undefined] }
    expect(conditionsOf(input)['Ready']?.message).toBe(
      'spec.appKeyRef: Secret keys does not exist; spec.appSecretRef: Secret secrets does not exist in namespace plant-a',
    )
  })

  it('a ConfigMap of caRef that does not exist stops the plan', () => {
    const { Ready } = conditionsOf({ credential: { spec: withCa }, sourceMetas: [metadata(), undefined] })
    expect(Ready).toEqual({
      reason: 'SourceSecretNotFound',
      message: 'spec.gateway.caRef: ConfigMap corp-ca does not exist in namespace plant-a',
    })
  })

  it('a member whose source Secret was deleted leaves its application', () => {
    expect(plan(synced({ sourceMetas: [undefined] }), now).actions).toEqual([
      { do: 'leave', reason: 'SourceSecretNotFound' },
    ])
  })

  it.each(['SourceKeyMissing', 'SourceForbidden', 'InvalidCA'] as const)(
    'a broken source stops the plan: %s',
    (reason) => {
      const problem = { class: 'userMustAct', reason, message: 'as it was read' } as const
      expect(conditionsOf({ sources: sources({ problem }) })['Stalled']).toEqual({ reason, message: 'as it was read' })
      expect(plan(joined({ sources: sources({ problem }) }), now).actions).toEqual([{ do: 'leave', reason }])
    },
  )

  it('a broken source is read again when it has changed', () => {
    const problem = { class: 'userMustAct', reason: 'SourceKeyMissing', message: 'as it was read' } as const
    const changed = observed({ sources: sources({ problem }), sourceMetas: [metadata({ resourceVersion: '11' })] })
    expect(plan(changed, now).actions).toEqual([{ do: 'fetchSources', reason: 'SourceChanged' }])
  })
})

describe('warnOfTrimmedSources', () => {
  const note = 'appSecretRef enos-app/appSecret: trailing newlines were trimmed'
  const trimmed = sources({ trimmed: ['appSecretRef enos-app/appSecret'] })
  const warning = {
    do: 'emitEvent',
    reason: 'SourceTrimmed',
    event: { type: 'Warning', reason: 'SourceTrimmed', action: 'ReadSources', note },
  }

  it('warnOfTrimmedSources warns with the field, before the resource joins its application', () => {
    expect(plan(observed({ sources: trimmed }), now).actions).toEqual([warning])
  })

  it('warnOfTrimmedSources warns before a broken source stops the plan', () => {
    const problem = { class: 'userMustAct', reason: 'SourceKeyMissing', message: 'as it was read' } as const
    const broken = sources({ problem, trimmed: trimmed.trimmed })
    expect(plan(observed({ sources: broken }), now).actions).toEqual([warning])
  })

  it('warnOfTrimmedSources does not repeat a note', () => {
    const one = observed({ sources: trimmed, notes: new Map([['SourceTrimmed', note]]) })
    expect(plan(one, now).actions).toMatchObject([{ do: 'join' }])
  })

  it('warnOfTrimmedSources warns again when the note names other fields', () => {
    const notes = new Map([['SourceTrimmed', 'appKeyRef enos-app/appKey: trailing newlines were trimmed']])
    expect(plan(observed({ sources: trimmed, notes }), now).actions).toEqual([warning])
  })

  it('warnOfTrimmedSources plans nothing for sources without trailing newlines', () => {
    expect(plan(observed({ sources: sources() }), now).actions).toMatchObject([{ do: 'join' }])
  })
})

describe('fetchSources: a source that cannot be read', () => {
  const sourceProblem = { class: 'userMustAct', reason: 'SourceForbidden', message: 'HTTP 403' } as const

  it('a source that cannot be read is reported, ends the membership, and is not read twice in one pass', () => {
    expect(plan(synced({ sourceProblem, sources: undefined }), now).actions).toEqual([
      { do: 'leave', reason: 'SourceForbidden' },
    ])
    expect(conditionsOf({ sourceProblem })['Stalled']).toEqual({ reason: 'SourceForbidden', message: 'HTTP 403' })
  })

  it('a source that cannot be read is read again in the next pass', () => {
    expect(plan(observed(), now).actions).toEqual([{ do: 'fetchSources', reason: 'SourcesNotInMemory' }])
  })
})

describe('awaitConfigMaps', () => {
  const awaiting = (input: ObservedInput = {}) =>
    observed({
      credential: { spec: withCa },
      sourceMetas: [metadata(), undefined],
      configMapsAwaitedSince: now,
      ...input,
    })

  it('a new resource waits a second for ConfigMaps, without a report', () => {
    expect(plan(awaiting(), now)).toEqual({
      check: 'awaitConfigMaps',
      reason: 'ConfigMapsNotSynced',
      actions: [],
      requeueAt: now + 1000,
    })
    expect(plan(awaiting({ membership: membership() }), now + 999)).toEqual({
      check: 'awaitConfigMaps',
      reason: 'ConfigMapsNotSynced',
      actions: [],
      requeueAt: now + 1000,
    })
  })

  it('a resource with a valid token on its targets waits half a minute for ConfigMaps after a restart', () => {
    const credential = { spec: withCa }
    const after = (ms: number, at = now) => {
      const one = restarted({ credential, sourceMetas: [metadata(), undefined], configMapsAwaitedSince: at })
      return plan(one, at + ms)
    }
    expect(after(29_999)).toEqual({
      check: 'awaitConfigMaps',
      reason: 'ConfigMapsNotSynced',
      actions: [],
      requeueAt: now + 30_000,
    })
    expect(after(30_000).actions).toMatchObject([{ do: 'patchStatus' }])
    const soonExpired = now + hourMs - 10_000
    expect(after(9999, soonExpired)).toEqual({
      check: 'awaitConfigMaps',
      reason: 'ConfigMapsNotSynced',
      actions: [],
      requeueAt: now + hourMs,
    })
    expect(after(10_000, soonExpired).actions).toMatchObject([
      { status: { conditions: [{ type: 'Ready', reason: 'TokenExpired' }, {}, {}] } },
    ])
  })

  it('a ConfigMap is reported as not synced, and not as missing, after the wait', () => {
    const later = now + 1000
    expect(plan(awaiting({ membership: membership() }), later).actions).toEqual([
      { do: 'leave', reason: 'WaitingForConfigMaps' },
    ])
    expect(plan(awaiting(), later).actions).toMatchObject([
      {
        status: {
          conditions: [
            {
              type: 'Ready',
              reason: 'WaitingForConfigMaps',
              message:
                'spec.gateway.caRef: ConfigMaps are not synced yet, so ConfigMap corp-ca cannot be found; check that the operator may list and watch ConfigMaps',
            },
            { type: 'RenewalHealthy', status: 'False' },
            { type: 'Reconciling', status: 'True' },
          ],
        },
      },
    ])
  })
})

describe('isSameVersions', () => {
  const version = (name: string, resourceVersion = '1') => ({ name, uid: `uid-${name}`, resourceVersion })

  it('isSameVersions ignores the order', () => {
    expect(isSameVersions([version('a'), version('b')], [version('b'), version('a')])).toBe(true)
  })

  it.each([
    ['one no longer exists', [version('a'), undefined]],
    ['one has changed', [version('a'), version('b', '2')]],
    ['there is one more', [version('a'), version('b'), version('c')]],
    ['there is one fewer', [version('a')]],
    ['one has another name', [version('a'), { ...version('b'), name: 'c' }]],
  ])('isSameVersions is false when %s', (_, present) => {
    expect(isSameVersions([version('a'), version('b')], present)).toBe(false)
  })
})
