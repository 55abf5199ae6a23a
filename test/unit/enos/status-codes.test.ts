import { describe, expect, it } from 'vitest'
import { reasons } from '../../../src/api/v1alpha1/reasons.ts'
import { meaningOf, type Reaction } from '../../../src/enos/status-codes.ts'

describe('meaningOf', () => {
  it.each<[number, string, Reaction, string]>([
    [0, 'success', 'success', 'Synced'],
    [1001, 'a repeated request', 'newTimestamp', 'GatewayRejected'],
    [1002, 'an unknown appKey', 'userMustAct', 'AppKeyNotFound'],
    [1003, 'a wrong signature', 'userMustAct', 'InvalidAppSecret'],
    [1004, 'an invalid parameter', 'userMustAct', 'GatewayRejected'],
    [1005, 'an internal error', 'retry', 'GatewayError'],
    [1202, 'an empty parameter', 'userMustAct', 'GatewayRejected'],
    [1203, 'an expired token', 'getAgain', 'GatewayError'],
    [1204, 'a refresh that failed', 'getAgain', 'GatewayError'],
    [1, 'a code that is not documented', 'retry', 'UnexpectedReply'],
    [-1, 'a negative code', 'retry', 'UnexpectedReply'],
    [404, "an HTTP status in the body's place", 'retry', 'UnexpectedReply'],
  ])('knows %i as %s', (status, _, reaction, reason) => {
    expect(meaningOf(status)).toMatchObject({ reaction, reason })
  })

  it.each([0, 1001, 1002, 1003, 1004, 1005, 1202, 1203, 1204, 7])(
    'gives %i a documented reason and words',
    (status) => {
      const { reason, description } = meaningOf(status)
      expect(reasons).toHaveProperty(reason)
      expect(description).not.toBe('')
    },
  )
})
