import { describe, expect, it } from 'vitest'
import type { Propagation } from '../../../src/observe/observed.ts'
import { propagatedFingerprint } from '../../../src/observe/propagation.ts'
import { propagateToken } from '../../../src/plan/propagation-check.ts'
import { heldToken, synced } from '../../support/builders.ts'

const { fingerprint } = heldToken()
const older = 'of an older one'

function published(outcome: Propagation['outcome']) {
  const credential = { spec: { propagation: 'Immediate' }, status: { propagatedFingerprint: older } }
  return synced({ credential, propagation: { fingerprint, generation: 1, outcome } })
}

describe('the token that consumers were told of', () => {
  it.each<[string, Propagation['outcome'], string]>([
    ['is the older one while they are told', undefined, older],
    ['is the older one when that failed', { status: 'False', reason: 'PropagationFailed', message: 'HTTP 500' }, older],
    [
      'is the new one when that was refused, so that no restart of the operator asks again',
      { status: 'False', reason: 'PropagationForbidden', message: 'HTTP 403' },
      fingerprint,
    ],
    [
      'is the new one when they were told, even if some must be restarted',
      { status: 'True', reason: 'ConsumersNeedRestart', message: 'Pod a' },
      fingerprint,
    ],
  ])('%s', (_, outcome, expected) => {
    expect(propagatedFingerprint(published(outcome))).toBe(expected)
  })

  it('is tried again by the next process when it failed, and not twice by this one', () => {
    const failed = published({ status: 'False', reason: 'PropagationFailed', message: 'HTTP 500' })
    expect(propagateToken(failed)).toBeUndefined()
    expect(propagateToken({ ...failed, propagation: undefined })).toMatchObject({
      actions: [{ do: 'propagate', fingerprint }],
    })
  })
})
