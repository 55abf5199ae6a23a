import { describe, expect, it } from 'vitest'
import { newState } from '../../../src/observe/credential-state.ts'
import { plan } from '../../../src/plan/plan.ts'
import { nextStatus, statusPatch } from '../../../src/status/next-status.ts'
import { applicationView, hourMs, minuteMs, now, reported, synced, targetRecord } from '../../support/builders.ts'

const failure = { class: 'retry', reason: 'GatewayUnreachable', message: 'connection refused' } as const

describe('nextStatus: lastWrite', () => {
  const withLastWrite = (reason: string, atWall: number, failures = 0) =>
    synced({
      record: new Map([['enos-token', { ...syncedRecord(), lastWrite: { reason, atWall } }]]),
      application: failures === 0 ? applicationView() : applicationView({ failure, failures }),
    })
  const syncedRecord = () => synced().record.get('enos-token') ?? targetRecord()

  it('lastWrite is the reason and the time of the record', () => {
    expect(nextStatus(withLastWrite('Drift', now - minuteMs), undefined, now).targets[0]?.lastWrite).toEqual({
      reason: 'Drift',
      at: '2026-01-01T11:59:00Z',
    })
  })

  it('lastWrite is absent where the record has none', () => {
    expect(nextStatus(synced(), undefined, now).targets[0]).not.toHaveProperty('lastWrite')
  })

  it('lastWrite is no reason for a write of the status by itself', () => {
    const written = reported(withLastWrite('Missing', now))
    const { record } = withLastWrite('Drift', now + minuteMs)
    expect(plan({ ...written, record }, now + minuteMs).actions).toEqual([])
  })

  it('lastWrite is written with a status that is due anyhow', () => {
    const written = reported(withLastWrite('Missing', now))
    const { application, record } = withLastWrite('Drift', now + minuteMs, 1)
    const [action] = plan({ ...written, record, application }, now + minuteMs).actions
    if (action?.do !== 'patchStatus') throw new Error(`planned ${action?.do ?? 'nothing'}`)
    const patch = statusPatch(written.credential.status, action.status)
    expect(patch).toMatchObject({
      consecutiveFailures: 1,
      targets: [{ lastWrite: { reason: 'Drift', at: '2026-01-01T12:01:00Z' } }],
    })
  })

  it('lastWrite is taken over from the status after a restart', () => {
    const { credential } = reported(withLastWrite('TypeChanged', now - minuteMs))
    const state = newState(credential, now + hourMs, 0)
    expect(state.record.get('enos-token')?.lastWrite).toEqual({ reason: 'TypeChanged', atWall: now - minuteMs })
  })
})
