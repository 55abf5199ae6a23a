import { describe, expect, it } from 'vitest'
import { plan } from '../../../src/plan/plan.ts'
import { applicationView, heldToken, hourMs, joined, minuteMs, now, synced } from '../../support/builders.ts'

describe('rejectBrokenTemplate and writeTargets', () => {
  const broken = { credential: { spec: { targets: [{ name: 'enos-token', data: { key: '{{ nonsense }}' } }] } } }

  it('a broken template ends the membership', () => {
    expect(plan(synced(broken), now).actions).toEqual([{ do: 'leave', reason: 'TemplateError' }])
  })

  it('a broken template is reported before any read or call', () => {
    const one = joined({ ...broken, sources: undefined, membership: undefined, application: undefined })
    expect(plan(one, now).actions).toMatchObject([
      {
        do: 'patchStatus',
        status: { conditions: [{ type: 'Ready', reason: 'TemplateError' }, {}, { type: 'Stalled' }] },
      },
    ])
  })

  it('a template that fails on real values fails its target alone', () => {
    const data = { key: '{{ accessToken }} {{ accessToken }}' }
    const targets = [{ name: 'enos-token', data }, { name: 'second' }]
    const application = applicationView({ token: heldToken({ value: 'x'.repeat(600_000) }) })
    expect(plan(joined({ credential: { spec: { targets } }, application }), now).actions).toMatchObject([
      { do: 'failTarget', name: 'enos-token', problem: { class: 'userMustAct', reason: 'TemplateError' } },
      { do: 'createTarget', desired: { name: 'second' } },
    ])
  })
})

describe('writeTargets after a failed write', () => {
  const problem = { class: 'retry', reason: 'TargetWriteFailed', message: 'HTTP 500' } as const
  const token = heldToken({ value: 'the next token', expiresAt: now + 3 * hourMs, issuedAtWall: now })
  const failed = {
    application: applicationView({ token }),
    targetProblems: new Map([['enos-token', problem]]),
  }

  it('a target whose write failed is not written again in the same pass', () => {
    expect(plan(synced(failed), now).actions.map((action) => action.do)).toEqual(['patchStatus'])
  })

  it('a target whose write failed keeps Ready True with its valid token, and is reported by Reconciling', () => {
    const { actions } = plan(synced({ ...failed, firstSeenAt: now - minuteMs }), now)
    expect(actions).toMatchObject([
      {
        status: {
          conditions: [
            { type: 'Ready', status: 'True' },
            { type: 'RenewalHealthy', status: 'True', reason: 'Synced' },
            { type: 'Reconciling', status: 'True', reason: 'TargetWriteFailed', message: 'HTTP 500' },
          ],
        },
        events: [
          { type: 'Normal' },
          { type: 'Warning', reason: 'TargetWriteFailed', action: 'Sync', note: 'HTTP 500' },
        ],
      },
    ])
  })
})
