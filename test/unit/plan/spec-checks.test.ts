import { describe, expect, it } from 'vitest'
import type { InvalidCredential, InvalidObserved } from '../../../src/observe/observed.ts'
import type { ResourceAction } from '../../../src/plan/actions.ts'
import { planInvalid } from '../../../src/plan/plan.ts'
import { invalidStatus } from '../../../src/status/next-status.ts'
import { condition, credential, now } from '../../support/builders.ts'

const finalizer = 'enos.io/merge-cleanup'
const problems = ['spec.gateway.url: expected a URL']

function invalid(overrides: Partial<InvalidCredential> = {}): InvalidCredential {
  return { ...credential({ generation: 2 }), spec: undefined, problems, ...overrides }
}

function actionsOf(of: InvalidCredential, rest: Partial<InvalidObserved> = {}): readonly ResourceAction[] {
  return planInvalid({ credential: of, isMember: false, nowWall: now, ...rest }).actions
}

describe('rejectInvalidSpec', () => {
  it('the problems of an invalid spec are reported in the status, with one event', () => {
    expect(actionsOf(invalid())).toMatchObject([
      {
        do: 'patchStatus',
        reason: 'InvalidSpec',
        status: {
          observedGeneration: 2,
          conditions: [
            { type: 'Ready', status: 'False', reason: 'InvalidSpec', message: problems[0] },
            { type: 'RenewalHealthy', status: 'Unknown', reason: 'InvalidSpec', message: problems[0] },
            { type: 'Stalled', status: 'True', reason: 'InvalidSpec', message: problems[0] },
          ],
        },
        events: [{ type: 'Warning', reason: 'InvalidSpec', note: problems[0] }],
      },
    ])
  })

  it('a member leaves its application in the same plan as the report', () => {
    expect(actionsOf(invalid(), { isMember: true })).toMatchObject([
      { do: 'leave', reason: 'InvalidSpec' },
      { do: 'patchStatus', reason: 'InvalidSpec' },
    ])
  })

  it('nothing is planned, with the reason InvalidSpec, when the status reports the problems already', () => {
    const { generation, status } = invalid()
    const reported = invalid({ status: invalidStatus(status, generation, problems, now) })
    expect(planInvalid({ credential: reported, isMember: false, nowWall: now + 1000 })).toEqual({
      check: 'rejectInvalidSpec',
      reason: 'InvalidSpec',
      actions: [],
      requeueAt: undefined,
    })
  })

  it('problems that differ from the reported ones are reported', () => {
    const { generation, status } = invalid()
    const other = invalidStatus(status, generation, ['spec.targets: expected at least 1'], now)
    expect(actionsOf(invalid({ status: other }))).toMatchObject([{ do: 'patchStatus' }])
  })

  it('the condition Reconciling is removed', () => {
    const status = { ...invalid().status, conditions: [condition('Reconciling'), condition('RenewalHealthy')] }
    const [action] = actionsOf(invalid({ status }))
    if (action?.do !== 'patchStatus') throw new Error(`planned ${action?.do ?? 'nothing'}`)
    expect(action.status.conditions.map(({ type }) => type)).toEqual(['RenewalHealthy', 'Ready', 'Stalled'])
  })

  it('a resource that is being deleted loses our finalizer alone, without a report', () => {
    const deleted = invalid({ isDeleting: true, finalizers: ['a.example.com/x', finalizer] })
    expect(actionsOf(deleted)).toEqual([{ do: 'setFinalizers', reason: 'Deleted', finalizers: ['a.example.com/x'] }])
  })

  it('nothing is planned for a resource that is being deleted and does not have our finalizer', () => {
    expect(actionsOf(invalid({ isDeleting: true, finalizers: ['a.example.com/x'] }))).toEqual([])
  })

  it('a member that is being deleted leaves its application', () => {
    expect(actionsOf(invalid({ isDeleting: true }), { isMember: true })).toEqual([
      { do: 'leave', reason: 'InvalidSpec' },
    ])
  })
})
