import { describe, expect, it } from 'vitest'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { type Action, targetOf } from '../../../src/plan/actions.ts'
import { noCorrection } from '../../../src/targets/compare-secret.ts'
import type { DesiredSecret } from '../../../src/targets/desired-secret.ts'
import { heldToken, membership, status, targetRecord } from '../../support/builders.ts'

const was = { name: 'enos-token', uid: 'uid-enos-token', resourceVersion: '20' }
const stamp = targetRecord()
const desired: DesiredSecret = {
  namespace: 'plant-a',
  name: 'enos-token',
  type: 'Opaque',
  labels: {},
  annotations: {},
  owner: undefined,
  data: { accessToken: new Sensitive('t') },
}
const problem = { class: 'retry', reason: 'TargetWriteFailed', message: 'HTTP 500' } as const
const event = { type: 'Warning', reason: 'KeysLeftBehind', action: 'Sync', note: 'enos-token' } as const

const { fingerprint, issuedAtWall: writtenAtWall } = heldToken()

/** One action of each kind: a new kind does not compile without a row. */
const actions: { readonly [K in Action['do']]: Extract<Action, { do: K }> } = {
  createTarget: { do: 'createTarget', reason: 'Missing', desired, stamp },
  patchTarget: { do: 'patchTarget', reason: 'NewToken', desired, correction: noCorrection, was, stamp },
  recreateTarget: { do: 'recreateTarget', reason: 'TypeChanged', desired, was, stamp },
  applyKeys: { do: 'applyKeys', reason: 'NewToken', was, data: {}, isForced: false, stamp },
  releaseKeys: { do: 'releaseKeys', reason: 'Deleted', was, keys: [] },
  disownTarget: { do: 'disownTarget', reason: 'OwnershipChanged', was, keptKeys: [], stamp },
  patchMetadata: {
    do: 'patchMetadata',
    reason: 'OwnershipChanged',
    was,
    change: { owners: undefined, annotations: {} },
    stamp,
  },
  deleteTarget: { do: 'deleteTarget', reason: 'RemovedFromSpec', was },
  fetchTarget: { do: 'fetchTarget', reason: 'Drift', name: 'enos-token' },
  confirmTarget: { do: 'confirmTarget', reason: 'InSync', was, stamp },
  failTarget: { do: 'failTarget', reason: 'TargetWriteFailed', name: 'enos-token', problem },
  forgetTarget: { do: 'forgetTarget', reason: 'Missing', name: 'enos-token' },
  leave: { do: 'leave', reason: 'Deleted' },
  setFinalizers: { do: 'setFinalizers', reason: 'MergedKeys', finalizers: [] },
  patchStatus: { do: 'patchStatus', reason: 'StatusChanged', status: status(), events: [event] },
  emitEvent: { do: 'emitEvent', reason: 'KeysLeftBehind', event },
  fetchSources: { do: 'fetchSources', reason: 'SourcesNotInMemory' },
  join: { do: 'join', reason: 'MembershipChanged', membership: membership(), found: undefined },
  propagate: { do: 'propagate', reason: 'NewToken', fingerprint, occasion: 'renewal', writtenAtWall },
}
const ofResource: readonly Action['do'][] = [
  'leave',
  'setFinalizers',
  'patchStatus',
  'emitEvent',
  'fetchSources',
  'join',
  'propagate',
]
const all = Object.values<Action>(actions)

describe('targetOf', () => {
  it.each(all.filter((action) => !ofResource.includes(action.do)))(
    'targetOf is the name of the Secret for $do',
    (action) => {
      expect(targetOf(action)).toBe('enos-token')
    },
  )

  it.each(all.filter((action) => ofResource.includes(action.do)))('targetOf is undefined for $do', (action) => {
    expect(targetOf(action)).toBeUndefined()
  })
})
