import { describe, expect, it } from 'vitest'
import { formatTime } from '../../../src/lib/time.ts'
import { isEquivalentStatus, isWrittenElsewhere } from '../../../src/status/shared-status.ts'
import { condition, now, restarted } from '../../support/builders.ts'

const { credential } = restarted()
const { status } = credential

describe('isWrittenElsewhere', () => {
  it('isWrittenElsewhere is false for the status that this process wrote or found, and before it knows one', () => {
    expect(isWrittenElsewhere({ credential, ownStatus: { ...status } })).toBe(false)
    expect(isWrittenElsewhere({ credential, ownStatus: undefined })).toBe(false)
  })

  it('isWrittenElsewhere is true for any other status', () => {
    expect(isWrittenElsewhere({ credential, ownStatus: { ...status, tokenFingerprint: 'another' } })).toBe(true)
  })
})

describe('isEquivalentStatus', () => {
  it.each(['expiresAt', 'issuedAt', 'nextRenewalAt'] as const)(
    'isEquivalentStatus accepts a difference of 2 s in %s, and no more',
    (field) => {
      const at = Date.parse(status[field] ?? '')
      expect(isEquivalentStatus(status, { ...status, [field]: formatTime(at + 2000) })).toBe(true)
      expect(isEquivalentStatus(status, { ...status, [field]: formatTime(at + 3000) })).toBe(false)
      expect(isEquivalentStatus(status, { ...status, [field]: undefined })).toBe(false)
    },
  )

  it('isEquivalentStatus ignores last renewals and failures', () => {
    const other = { lastRenewalAt: formatTime(now), lastRenewalMethod: 'refresh', consecutiveFailures: 3 } as const
    expect(isEquivalentStatus(status, { ...status, ...other })).toBe(true)
  })

  it('isEquivalentStatus is false for another token, another verdict or another target', () => {
    expect(isEquivalentStatus(status, { ...status, tokenFingerprint: 'another' })).toBe(false)
    expect(isEquivalentStatus(status, { ...status, conditions: [condition('Ready', 'False', 'X')] })).toBe(false)
    expect(isEquivalentStatus(status, { ...status, targets: [] })).toBe(false)
  })
})
