import { expect, it } from 'vitest'
import { outcomeOf } from '../../../src/commands/renew.ts'
import { formatTime } from '../../../src/lib/time.ts'
import { condition, hourMs, now, status } from '../../support/builders.ts'

it('a renewal that worked says until when the token is valid', () => {
  const expiresAt = formatTime(now + 2 * hourMs)
  expect(outcomeOf(status({ conditions: [condition('RenewalHealthy')], expiresAt }), now)).toEqual({
    isRenewed: true,
    text: `renewed, valid until ${expiresAt} (2h)`,
  })
})

it('one that did not says why, in one line', () => {
  const conditions = [condition('Ready'), condition('RenewalHealthy', 'False', 'GatewayError', 'HTTP 503\nagain')]
  expect(outcomeOf(status({ conditions }), now)).toEqual({
    isRenewed: false,
    text: 'not renewed: GatewayError: HTTP 503 again',
  })
  expect(outcomeOf(status(), now)).toMatchObject({ isRenewed: false })
})
