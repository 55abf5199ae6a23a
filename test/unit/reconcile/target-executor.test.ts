import { describe, expect, it } from 'vitest'
import { secrets } from '../../../src/kubernetes/types.ts'
import { createCaches } from '../../../src/observe/caches.ts'
import { newState } from '../../../src/observe/credential-state.ts'
import { objectVersionOf } from '../../../src/observe/observed.ts'
import { newPass } from '../../../src/observe/pass.ts'
import type { TargetAction } from '../../../src/plan/actions.ts'
import { TargetExecutor } from '../../../src/reconcile/target-executor.ts'
import { noCorrection } from '../../../src/targets/compare-secret.ts'
import { TargetWriter } from '../../../src/targets/target-writer.ts'
import { credential, minuteMs, now, operator, targetRecord } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { MemoryApi, type StoredObject } from '../../support/memory-api.ts'

const name = 'enos-token'
const was = { name, uid: 'uid-enos-token', resourceVersion: '21' }
const lastWrite = { reason: 'NewToken', atWall: now - minuteMs }
const stamp = targetRecord({ keys: ['accessToken'] })
const desired = { namespace: 'plant-a', name, type: 'Opaque', labels: {}, annotations: {}, owner: undefined, data: {} }

function world() {
  const clock = new FakeClock(now)
  const caches = createCaches()
  const client = new MemoryApi(clock, operator)
  const writer = new TargetWriter({ client, fieldManager: operator, onWrite: () => undefined })
  const executor = new TargetExecutor({ writer, secrets: caches.secrets, clock })
  const of = credential()
  const pass = newPass(of, newState(of, now, 0))
  pass.state.record.set(name, targetRecord({ lastWrite }))
  const { signal } = new AbortController()
  return { client, clock, pass, execute: (action: TargetAction) => executor.execute(action, pass, signal) }
}

describe('TargetExecutor', () => {
  it('a confirmed target keeps lastWrite, and its record has the version that was read', async () => {
    const { execute, pass } = world()
    expect(await execute({ do: 'confirmTarget', reason: 'InSync', was, stamp })).toBeUndefined()
    expect(pass.state.record.get(name)).toMatchObject({ resourceVersion: '21', keys: ['accessToken'], lastWrite })
  })

  it('a written target has the reason and the wall-clock time as lastWrite', async () => {
    const { clock, execute, pass } = world()
    clock.stepWall(5 * minuteMs)
    expect(await execute({ do: 'createTarget', reason: 'Missing', desired, stamp })).toBe('written')
    expect(pass.state.record.get(name)?.lastWrite).toEqual({ reason: 'Missing', atWall: now + 5 * minuteMs })
  })

  it('a target keeps lastWrite when its write is stale', async () => {
    const { execute, pass } = world()
    const patch = { do: 'patchTarget', reason: 'Drift', desired, correction: noCorrection, was, stamp } as const
    expect(await execute(patch)).toBe('stale')
    expect(pass.state.record.get(name)?.lastWrite).toEqual(lastWrite)
  })

  it('a disowned target that another writer has changed stays drifted: its record has no version', async () => {
    const { client, execute, pass } = world()
    const user = client.user('kubectl')
    const disown = async (recorded: StoredObject, present: StoredObject): Promise<string | undefined> => {
      pass.state.record.set(name, targetRecord(objectVersionOf(recorded)))
      pass.contents.set(name, present)
      const action = { do: 'disownTarget', reason: 'OwnershipChanged', keptKeys: [], stamp } as const
      expect(await execute({ ...action, was: objectVersionOf(present) })).toBe('written')
      return pass.state.record.get(name)?.resourceVersion
    }
    const first = user.create(secrets, 'plant-a', { metadata: { name }, stringData: { other: 'x' } })
    expect(await disown(first, first)).toMatch(/^\d+$/)
    const changed = user.patch(secrets, { namespace: 'plant-a', name }, { stringData: { other: 'y' } })
    expect(await disown(first, changed)).toBe('')
  })
})
