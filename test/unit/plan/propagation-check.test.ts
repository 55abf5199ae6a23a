import { describe, expect, it } from 'vitest'
import type { Propagation } from '../../../src/observe/observed.ts'
import { propagatedFingerprint } from '../../../src/observe/propagation.ts'
import { propagateToken } from '../../../src/plan/propagation-check.ts'
import { heldToken, synced } from '../../support/builders.ts'

const { fingerprint } = heldToken()
const older = 'of an older token'

function propagated(outcome: Propagation['outcome']) {
  const credential = { spec: { propagation: 'Immediate' }, status: { propagatedFingerprint: older } }
  return synced({ credential, propagation: { fingerprint, generation: 1, outcome } })
}

describe('propagatedFingerprint and propagateToken', () => {
  it.each<[string, Propagation['outcome'], string]>([
    ['propagatedFingerprint is of the older token while the propagation is under way', undefined, older],
    [
      'propagatedFingerprint is of the older token when the propagation failed',
      { status: 'False', reason: 'PropagationFailed', message: 'HTTP 500' },
      older,
    ],
    [
      'propagatedFingerprint is of the new token when the propagation was forbidden, so that no restart tries again',
      { status: 'False', reason: 'PropagationForbidden', message: 'HTTP 403' },
      fingerprint,
    ],
    [
      'propagatedFingerprint is of the new token when it was propagated, also when some consumers need a restart',
      { status: 'True', reason: 'ConsumersNeedRestart', message: 'Pod a' },
      fingerprint,
    ],
  ])('%s', (_, outcome, expected) => {
    expect(propagatedFingerprint(propagated(outcome))).toBe(expected)
  })

  it('propagateToken repeats a failed propagation after a restart, and not in the same process', () => {
    const failed = propagated({ status: 'False', reason: 'PropagationFailed', message: 'HTTP 500' })
    expect(propagateToken(failed)).toBeUndefined()
    expect(propagateToken({ ...failed, propagation: undefined })).toMatchObject({
      actions: [{ do: 'propagate', fingerprint }],
    })
  })
})
